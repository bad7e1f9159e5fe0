/* Runs a model on an emulated Cortex-M and says what came out and what it took. Written by edgecut.

   It links to no library: what the model needs of one stands in the model's own sections. Lines of the output:
       loop T     ticks of a loop of 2 * LOOP instructions, against which ticks are turned into instructions
       ticks T    of a run
       stack B    bytes of stack below this frame that a run has touched
       canary K   bytes beside the arena and the output that a run has changed
       out HEX    the output, in pieces; end after the last */
#include <stddef.h>
#include <stdint.h>

#include "image.h"
#include "@NAME@_run.h"

#define GUARD 64
#define LOOP 1000000u
#define PIECE 128

extern const unsigned char image_inputs[];
extern uint32_t image_stack_low[], image_stack_top[], image_data_from[], image_data_low[], image_data_high[];
extern uint32_t image_bss_low[], image_bss_high[];
static _Alignas(16) uint8_t arena[GUARD + ARENA_BYTES + GUARD];
static _Alignas(16) uint8_t output[GUARD + OUTPUT_BYTES + GUARD];
static volatile uint32_t wraps;

void image_reset(void);
void image_fault(void);
void image_tick(void);

__attribute__((section(".vectors"), used)) void (*const image_vectors[16])(void) = {
    (void (*)(void))image_stack_top, image_reset, image_fault, image_fault, image_fault, image_fault, image_fault,
    image_fault, 0, 0, 0, image_fault, image_fault, 0, image_fault, image_tick};

static int host(int call, void *words) {
    register int r0 __asm__("r0") = call;
    register void *r1 __asm__("r1") = words;
    __asm__ volatile("bkpt 0xab" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

static void say(const char *text) {
    host(0x04, (void *)(uintptr_t)text);
}

static void leave(uint32_t code) {
    uint32_t words[2];
    words[0] = 0x20026u;
    words[1] = code;
    host(0x20, words);
    for (;;) {}
}

void image_tick(void) { wraps++; }

void image_fault(void) {
    say("fault\n");
    leave(3);
}

static volatile uint32_t *const systick = (volatile uint32_t *)0xE000E010u;

static uint64_t ticks(void) {
    uint32_t before, left;
    do {
        before = wraps;
        left = systick[2];
    } while (wraps != before);
    return ((uint64_t)before << 24) + (0xFFFFFFu - left);
}

static void start_ticks(void) {
    systick[1] = 0xFFFFFFu;
    systick[2] = 0;
    systick[0] = 7;
    while (systick[2] == 0) {}
    wraps = 0;
}

static void say_number(const char *name, uint64_t value) {
    char text[20];
    int k = 18;
    text[19] = '\0';
    text[18] = '\n';
    do {
        text[--k] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value && k > 0);
    say(name);
    say(text + k);
}

static void say_output(void) {
    char text[2 * PIECE + 2];
    size_t k, at = 0;
    for (k = 0; k < OUTPUT_BYTES; k++) {
        text[at++] = "0123456789abcdef"[output[GUARD + k] >> 4];
        text[at++] = "0123456789abcdef"[output[GUARD + k] & 15];
        if (at == 2 * PIECE || k + 1 == OUTPUT_BYTES) {
            text[at++] = '\n';
            text[at] = '\0';
            say("out ");
            say(text);
            at = 0;
        }
    }
    say("end\n");
}

__attribute__((noinline)) static void count_down(uint32_t count) {
    __asm__ volatile("1: subs %0, %0, #1\n bne 1b" : "+r"(count) : : "cc");
}

static uint8_t guard_of(size_t k) { return (uint8_t)(k * 37u + 11u); }

/* Guards beside the room, and inside what a run before may have left: a run must not rely on zeros. */
static void paint(uint8_t *room, size_t count) {
    size_t k;
    for (k = 0; k < count; k++) room[k] = guard_of(k);
}

static uint32_t changed(const uint8_t *room, size_t count) {
    size_t k;
    uint32_t wrong = 0;
    for (k = 0; k < GUARD; k++) {
        wrong += room[k] != guard_of(k);
        wrong += room[count - 1 - k] != guard_of(count - 1 - k);
    }
    return wrong;
}

__attribute__((noinline)) static void run(const unsigned char *input) {
    volatile uint32_t *const here = (volatile uint32_t *)__builtin_frame_address(0) - 16;
    volatile uint32_t *touched;
    uint64_t began, ended;
    int code;
    paint(arena, sizeof arena);
    paint(output, sizeof output);
    for (touched = image_stack_low; touched < here; touched++) *touched = 0x5AC35AC3u;
    began = ticks();
    code = RUN((int8_t *)(arena + GUARD), (const int8_t *)input, (int8_t *)(output + GUARD));
    ended = ticks();
    for (touched = image_stack_low; touched < here && *touched == 0x5AC35AC3u; touched++) {}
    if (code != 0) leave(4);
    say_number("ticks ", ended - began);
    say_number("stack ", (uint64_t)((uintptr_t)(here + 16) - (uintptr_t)touched));
    say_number("canary ", changed(arena, sizeof arena) + changed(output, sizeof output));
    say_output();
}

__attribute__((noinline)) static void image_main(void) {
    uint64_t began;
    uint32_t k;
    start_ticks();
    began = ticks();
    count_down(LOOP);
    say_number("loop ", ticks() - began);
    for (k = 0; k < INPUTS; k++) run(image_inputs + (size_t)k * INPUT_STEP);
    leave(0);
}

void image_reset(void) {
    uint32_t *to, *from = image_data_from;
#if defined(__ARM_FEATURE_MVE)
    *(volatile uint32_t *)0xE000ED88u |= 0xF00000u; /* CPACR: the vector unit may be used */
    __asm__ volatile("dsb\n isb" : : : "memory");
#endif
    for (to = image_data_low; to < image_data_high;) *to++ = *from++;
    for (to = image_bss_low; to < image_bss_high;) *to++ = 0;
    image_main();
}
