# Sourced by what takes Debian packages for arm64 on an amd64 machine: apt with a state of its own beside the
# system's, so that dpkg learns of no foreign architecture and nothing is installed.
# Expects `cache`, a folder outside the clone.

debian=$cache/apt

# Learns what Debian has today; comes before the others.
debian_update() {
  mkdir -p "$debian"/{lists/partial,archives/partial,parts}
  cp /etc/apt/sources.list.d/debian.sources "$debian/parts/"
  cat >"$debian/conf" <<EOF
APT::Architecture "amd64"; APT::Architectures { "amd64"; "arm64"; };
Dir::Etc::sourcelist "/dev/null"; Dir::Etc::sourceparts "$debian/parts";
Dir::State "$debian"; Dir::State::lists "$debian/lists"; Dir::State::status "/var/lib/dpkg/status";
Dir::Cache "$debian"; Dir::Cache::archives "$debian/archives";
Acquire::Languages "none"; Acquire::Retries "3"; APT::Sandbox::User "root";
EOF
  debian_apt get -qq update >&2
}

# apt-get and apt-cache for both architectures: debian_apt cache policy busybox-static:arm64
debian_apt() {
  local program=apt-$1; shift
  "$program" -c "$debian/conf" "$@"
}

# Unpacks packages into a folder, without their scripts: debian_unpack FOLDER PACKAGE[:ARCH]...
debian_unpack() {
  local folder=$1 debs deb; shift
  debs=$(mktemp -d)
  mkdir -p "$folder"
  (cd "$debs" && debian_apt get -qq download "$@" >&2)
  for deb in "$debs"/*.deb; do dpkg -x "$deb" "$folder"; done
  rm -r "$debs"
}

# Unpacks packages for arm64 with all that they depend on into a new root file system, and writes down that they
# are installed; their scripts do not run: debian_root FOLDER PACKAGE...
debian_root() {
  local folder=$1 debs deb list directory; shift
  debs=$(mktemp -d)
  mkdir -p "$debs/partial" "$folder"/var/lib/dpkg/{info,updates,triggers}
  debian_apt get -o APT::Architecture=arm64 -o Dir::State::status=/dev/null -o Dir::Cache::archives="$debs" \
    -qq --no-install-recommends --download-only install "$@" >&2
  for deb in "$debs"/*.deb; do
    dpkg -x "$deb" "$folder"
    { dpkg -f "$deb"; printf 'Status: install ok installed\n\n'; } >>"$folder/var/lib/dpkg/status"
    list=$(dpkg-deb --show --showformat '${Package}:${Architecture}:${Multi-Arch}' "$deb")
    case $list in *:same) list=${list%:same} ;; *) list=${list%%:*} ;; esac
    touch "$folder/var/lib/dpkg/info/$list.list"
  done
  for directory in bin sbin lib; do
    cp -a "$folder/$directory/." "$folder/usr/$directory/"
    rm -r "${folder:?}/$directory"
    ln -s "usr/$directory" "$folder/$directory"
  done
  rm -r "$debs"
}
