/* A QEMU user-mode plugin that counts guest instructions, in all and by function.
 *
 *   qemu-aarch64 -plugin counter.so[,top=20] PROGRAM ...
 *
 * At the end it prints the total and the functions that executed most. One guest thread is assumed. Debian ships no qemu-plugin.h, so what is used of the
 * plugin API, version 1, is declared here; see https://www.qemu.org/docs/master/devel/tcg-plugins.html */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
enum { ADD_U64 = 0 };
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_tb_exec_inline(struct qemu_plugin_tb *, int op, void *counter, uint64_t add);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *, size_t);
const char *qemu_plugin_insn_symbol(const struct qemu_plugin_insn *);

#define EXPORT __attribute__((visibility("default")))
EXPORT int qemu_plugin_version = 1;

struct function { const char *name; uint64_t count; };
enum { FUNCTIONS = 1 << 16 };
static struct function *functions; /* open addressing by name pointer; an entry never moves */
static uint64_t total;
static unsigned long top;

static uint64_t *count_of(const char *name) {
    size_t at = ((uintptr_t)name >> 3) * 0x9E3779B97F4A7C15u >> 48;
    while (functions[at].name && functions[at].name != name) at = (at + 1) % FUNCTIONS;
    functions[at].name = name;
    return &functions[at].count;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block) {
    size_t instructions = qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &total, instructions);
    if (top) {
        const char *symbol = qemu_plugin_insn_symbol(qemu_plugin_tb_get_insn(block, 0));
        qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, count_of(symbol ? symbol : "?"), instructions);
    }
}

static int by_count(const void *a, const void *b) {
    uint64_t x = ((const struct function *)a)->count, y = ((const struct function *)b)->count;
    return (x < y) - (x > y);
}

static void ended(plugin_id id, void *unused) {
    (void)id, (void)unused;
    fprintf(stderr, "total %llu\n", (unsigned long long)total);
    if (!top) return;
    qsort(functions, FUNCTIONS, sizeof *functions, by_count);
    for (unsigned long i = 0; i < top && functions[i].count; i++)
        fprintf(stderr, "%6.2f%% %s\n", 100.0 * functions[i].count / total, functions[i].name);
}

EXPORT int qemu_plugin_install(plugin_id id, const void *info, int argc, char **argv) {
    (void)info;
    for (int i = 0; i < argc; i++)
        if (!strncmp(argv[i], "top=", 4)) top = strtoul(argv[i] + 4, NULL, 10);
    functions = calloc(FUNCTIONS, sizeof *functions);
    if (!functions) return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, ended, NULL);
    return 0;
}
