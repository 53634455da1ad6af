/* Answers CPUID for programs that hold.py made to ask here: this processor, without AVX-512, VNNI and AMX. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <ucontext.h>

#define BIT(n) (1u << (n))

/* Leaf 7 by its sub-leaves, in Intel's "Software Developer's Manual", volume 2, CPUID. */
static const unsigned HIDDEN[2][4] = {
    {0,
     BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31),
     BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14),
     BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)},
    {BIT(4) | BIT(5) | BIT(23), 0, 0, BIT(4) | BIT(5) | BIT(10) | BIT(19)},
};

static void answer(int signal, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    unsigned leaf = (unsigned)registers[REG_RAX], part = (unsigned)registers[REG_RCX], value[4];
    __cpuid_count(leaf, part, value[0], value[1], value[2], value[3]);
    if (leaf == 7 && part < 2)
        for (int i = 0; i < 4; i++) value[i] &= ~HIDDEN[part][i];
    registers[REG_RAX] = value[0];
    registers[REG_RBX] = value[1];
    registers[REG_RCX] = value[2];
    registers[REG_RDX] = value[3];
    (void)signal, (void)info;
}

/* Before the constructors of the libraries, which ask. */
__attribute__((constructor(101))) static void install(void) {
    struct sigaction action = {0};
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGTRAP, &action, 0);
}
