#!/bin/busybox sh
# The first program of the simulated board. It puts on what a real board has soldered on: pins and a flash chip. Then it mounts the disk and gives way to its systemd.
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev

for module in $(cat /modules); do modprobe "$module"; done

mount -t configfs config /sys/kernel/config
chip=/sys/kernel/config/gpio-sim/door
mkdir $chip $chip/header
offset=0
echo 8 >$chip/header/num_lines
for name in strike led-green led-red buzzer button exit door tamper; do
  mkdir $chip/header/line$offset
  echo $name >$chip/header/line$offset/name
  offset=$((offset + 1))
done
echo 1 >$chip/live
umount /sys/kernel/config

mount -t ext4 /dev/vda /mnt || exec sh
cp -r /put/. /mnt/
mkdir -p /mnt/dev /mnt/proc /mnt/sys /mnt/etc/systemd/system/multi-user.target.wants
ln -sf ../stage.service /mnt/etc/systemd/system/multi-user.target.wants/
for place in dev proc sys; do mount -o move /$place /mnt/$place; done
exec switch_root /mnt /sbin/init
