/* What a block does to memory between its convolutions, in as few passes as there can be.

   Arrays lie with channels last; LANES channels at a time fill a vector register of the
   processor: a pass took up to twelve times as long with vectors of two registers. Each pass does
   one knee, and `spread` gives knees to the threads of PyTorch's own pool. What is summed is summed
   a knee, for the caller to add up in a fixed order: results don't depend on how many threads there
   are. A line of pixels is summed in REAL, lines are in double.

   Compiled once for float and once for double, whose gradients are checked numerically. */

#include <stdint.h>

#ifdef IN_DOUBLE
typedef double REAL;
typedef int64_t WHOLE;
#else
typedef float REAL;
typedef int32_t WHOLE;
#endif

#if defined(__AVX512F__)
enum { REGISTER = 64 };
#elif defined(__AVX__)
enum { REGISTER = 32 };
#else
enum { REGISTER = 16 }; /* SSE2, NEON */
#endif
enum { LANES = REGISTER / sizeof(REAL), DOUBLES = REGISTER / sizeof(double) };
enum { PLACES = 4, CLOSED = PLACES, KERNEL = 9 };
/* A place is a pixel of a 2x2 pooling window, row by row. `choice` names the place of the largest, or
   is CLOSED where the ReLU lets nothing through. */

#define VECTOR(type, lanes) \
    __attribute__((vector_size((lanes) * sizeof(type)), aligned(sizeof(type)), may_alias))
typedef REAL reals VECTOR(REAL, LANES);
typedef WHOLE wholes VECTOR(WHOLE, LANES);
typedef uint8_t bytes VECTOR(uint8_t, LANES);
typedef double doubles VECTOR(double, DOUBLES);
typedef REAL part VECTOR(REAL, DOUBLES); /* of `reals`: as many as become one `doubles` */

static inline reals load(const REAL *from) { return *(const reals *)from; }
static inline void store(REAL *to, reals values) { *(reals *)to = values; }

static inline wholes load_choice(const uint8_t *from) {
    return __builtin_convertvector(*(const bytes *)from, wholes);
}

static inline void store_choice(uint8_t *to, wholes choice) {
    *(bytes *)to = __builtin_convertvector(choice, bytes);
}

static inline doubles load_doubles(const double *from) { return *(const doubles *)from; }

static inline void add_to(double *sums, reals values) {
    for (long lane = 0; lane < LANES; lane += DOUBLES)
        *(doubles *)(sums + lane) +=
            __builtin_convertvector(*(const part *)((const REAL *)&values + lane), doubles);
}

static inline reals mean_of(const double *sums, double count) {
    reals mean;
    for (long lane = 0; lane < LANES; lane += DOUBLES)
        *(part *)((REAL *)&mean + lane) =
            __builtin_convertvector(load_doubles(sums + lane) / count, part);
    return mean;
}

static inline double total_of(doubles values) {
    double total = 0;
    for (long lane = 0; lane < DOUBLES; lane++) total += values[lane];
    return total;
}

/* A comparison of vectors has all bits set where it holds. */
static inline reals only(wholes where, reals values) { return (reals)(where & (wholes)values); }

static inline reals either(wholes where, reals yes, reals no) {
    return (reals)((where & (wholes)yes) | (~where & (wholes)no));
}

/* Written so that NaN stays NaN: a training that diverges has to be noticed. */
static inline reals relu(reals values) { return either(values < 0, (reals){0}, values); }

static inline wholes unless_closed(reals activation, wholes choice) {
    wholes open = ~(activation <= 0);
    return (open & choice) | (~open & CLOSED);
}

/* The first of equal ones wins, and NaN always does, as in PyTorch's pooling. */
static inline void keep_larger(reals *best, wholes *choice, reals value, int place) {
    wholes larger = (value > *best) | (value != value);
    *best = either(larger, value, *best);
    *choice = (larger & place) | (~larger & *choice);
}

typedef void (*parallel_t)(void (*)(void *), void *, unsigned, unsigned); /* OpenMP's GOMP_parallel */
typedef struct {
    void (*pass)(const void *, long);
    const void *task;
    long knees, next;
} queue;

static void work_off(void *shared) {
    queue *todo = shared;
    long knee;
    while ((knee = __atomic_fetch_add(&todo->next, 1, __ATOMIC_RELAXED)) < todo->knees)
        todo->pass(todo->task, knee);
}

static void spread(void (*pass)(const void *, long), const void *task, long knees,
                   parallel_t parallel, long threads) {
    queue todo = {pass, task, knees, 0};
    if (parallel && threads > 1)
        parallel(work_off, &todo, (unsigned)threads, 0);
    else
        work_off(&todo);
}

/* ---- The first block, from crops of one view: its convolution is computed where it is pooled. ---- */

typedef struct {
    long size, channels;
    const REAL *crops;         /* (knee, size + 2, size + 2), with their padding */
    const REAL *weights;       /* (9, channels) */
    const REAL *scale, *shift; /* (channels) */
    REAL *activation;          /* (knee, size / 2, size / 2, channels) */
    uint8_t *choice;           /* the same shape */
    const REAL *gradient;      /* of the activation */
    double *sums;              /* (knee, ...), zero before */
} first_block;

/* sums (knee, 10, 9): products of each two pixels under the kernel, and in the last
   line the pixels themselves; in double, since what is left of smooth crops after a kernel that
   takes differences is far smaller than the products. */
static void moments_pass(const void *task, long knee) {
    const first_block *block = task;
    long line = block->size + 2;
    const REAL *crop = block->crops + knee * line * line;
    double rows[3][line]; /* those under the kernel */
    doubles products[KERNEL][KERNEL] = {{{0}}};
    doubles totals[KERNEL] = {{0}};
    for (long row = 0; row < block->size; row++) {
        for (long under = 0; under < 3; under++)
            for (long column = 0; column < line; column++)
                rows[under][column] = crop[(row + under) * line + column];
        for (long one = 0; one < KERNEL; one++) {
            const double *pixels = rows[one / 3] + one % 3;
            for (long column = 0; column < block->size; column += DOUBLES)
                totals[one] += load_doubles(pixels + column);
            for (long other = 0; other <= one; other++) {
                const double *others = rows[other / 3] + other % 3;
                doubles sum = products[one][other];
                for (long column = 0; column < block->size; column += DOUBLES)
                    sum += load_doubles(pixels + column) * load_doubles(others + column);
                products[one][other] = sum;
            }
        }
    }
    double *sums = block->sums + knee * (KERNEL + 1) * KERNEL;
    for (long one = 0; one < KERNEL; one++) {
        sums[KERNEL * KERNEL + one] = total_of(totals[one]);
        for (long other = 0; other <= one; other++)
            sums[one * KERNEL + other] = sums[other * KERNEL + one] = total_of(products[one][other]);
    }
}

/* The pixels under the kernel at a place of the window whose corner is given. */
static inline REAL under_kernel(const REAL *corner, long line, int place, long tap) {
    return corner[(place / 2 + tap / 3) * line + place % 2 + tap % 3];
}

static void first_forward_pass(const void *task, long knee) {
    const first_block *block = task;
    long line = block->size + 2, half = block->size / 2;
    const REAL *crop = block->crops + knee * line * line;
    for (long group = 0; group < block->channels; group += LANES) {
        reals weights[KERNEL];
        for (long tap = 0; tap < KERNEL; tap++)
            weights[tap] = load(block->weights + tap * block->channels + group);
        reals scale = load(block->scale + group), shift = load(block->shift + group);
        for (long row = 0; row < half; row++)
            for (long column = 0; column < half; column++) {
                const REAL *corner = crop + row * 2 * line + column * 2;
                reals best = {0};
                wholes choice = {0};
                for (int place = 0; place < PLACES; place++) {
                    reals value = {0};
                    for (long tap = 0; tap < KERNEL; tap++)
                        value += under_kernel(corner, line, place, tap) * weights[tap];
                    if (place == 0)
                        best = value;
                    else
                        keep_larger(&best, &choice, value, place);
                }
                reals activation = relu(best * scale + shift);
                long to = ((knee * half + row) * half + column) * block->channels + group;
                store(block->activation + to, activation);
                store_choice(block->choice + to, unless_closed(activation, choice));
            }
    }
}

/* sums (knee, 10, channels): of the gradient at the chosen places times the pixels under the
   kernel there; in the last line of the gradient alone. */
static void first_backward_pass(const void *task, long knee) {
    const first_block *block = task;
    long line = block->size + 2, half = block->size / 2;
    const REAL *crop = block->crops + knee * line * line;
    double *sums = block->sums + knee * (KERNEL + 1) * block->channels;
    for (long group = 0; group < block->channels; group += LANES)
        for (long row = 0; row < half; row++) {
            reals products[KERNEL] = {{0}}, total = {0};
            for (long column = 0; column < half; column++) {
                const REAL *corner = crop + row * 2 * line + column * 2;
                long from = ((knee * half + row) * half + column) * block->channels + group;
                reals gradient = load(block->gradient + from);
                wholes choice = load_choice(block->choice + from);
                total += only(choice < CLOSED, gradient);
                for (int place = 0; place < PLACES; place++) {
                    reals here = only(choice == place, gradient);
                    for (long tap = 0; tap < KERNEL; tap++)
                        products[tap] += under_kernel(corner, line, place, tap) * here;
                }
            }
            for (long tap = 0; tap < KERNEL; tap++)
                add_to(sums + tap * block->channels + group, products[tap]);
            add_to(sums + KERNEL * block->channels + group, total);
        }
}

/* ---- Any block, around PyTorch's convolution. ---- */

typedef struct {
    long size, channels;
    const REAL *raw;           /* (knee, size, size, channels): what the convolution gave */
    REAL *pooled;              /* (knee, size / 2, size / 2, channels): its largest of each window */
    uint8_t *choice;           /* the same shape */
    const REAL *scale, *shift; /* (channels) */
    REAL *activation;          /* as pooled */
    const REAL *gradient;      /* of the activation */
    const REAL *slope;         /* (channels) */
    REAL *raw_gradient;        /* as raw */
    double *sums;              /* (knee, 2, channels), zero before */
} any_block;

/* sums: of the raw values, and of their squared distances from the knee's mean. */
static void pool_pass(const void *task, long knee) {
    const any_block *block = task;
    long half = block->size / 2, channels = block->channels, line = block->size * channels;
    const REAL *raw = block->raw + knee * block->size * line;
    double *sums = block->sums + knee * 2 * channels, pixels = block->size * block->size;
    for (long group = 0; group < channels; group += LANES)
        for (long row = 0; row < block->size; row++) {
            reals total = {0};
            for (long column = 0; column < block->size; column++)
                total += load(raw + row * line + column * channels + group);
            add_to(sums + group, total);
        }
    for (long row = 0; row < half; row++)
        for (long group = 0; group < channels; group += LANES) {
            reals mean = mean_of(sums + group, pixels), squares = {0};
            for (long column = 0; column < half; column++) {
                const REAL *corner = raw + row * 2 * line + column * 2 * channels + group;
                reals best = {0};
                wholes choice = {0};
                for (int place = 0; place < PLACES; place++) {
                    reals value = load(corner + place / 2 * line + place % 2 * channels);
                    squares += (value - mean) * (value - mean);
                    if (place == 0)
                        best = value;
                    else
                        keep_larger(&best, &choice, value, place);
                }
                long to = ((knee * half + row) * half + column) * channels + group;
                store(block->pooled + to, best);
                store_choice(block->choice + to, choice);
            }
            add_to(sums + channels + group, squares);
        }
}

static void activate_pass(const void *task, long knee) {
    const any_block *block = task;
    long windows = block->size / 2 * (block->size / 2), channels = block->channels;
    for (long window = knee * windows; window < (knee + 1) * windows; window++)
        for (long group = 0; group < channels; group += LANES) {
            long at = window * channels + group;
            reals scale = load(block->scale + group), shift = load(block->shift + group);
            reals activation = relu(load(block->pooled + at) * scale + shift);
            store(block->activation + at, activation);
            store_choice(block->choice + at, unless_closed(activation, load_choice(block->choice + at)));
        }
}

/* sums: of the gradient that passes the ReLU, and of it times the pooled values. */
static void sum_gradients_pass(const void *task, long knee) {
    const any_block *block = task;
    long half = block->size / 2, channels = block->channels;
    double *sums = block->sums + knee * 2 * channels;
    for (long row = 0; row < half; row++)
        for (long group = 0; group < channels; group += LANES) {
            reals total = {0}, products = {0};
            for (long column = 0; column < half; column++) {
                long at = ((knee * half + row) * half + column) * channels + group;
                wholes open = load_choice(block->choice + at) < CLOSED;
                reals gradient = only(open, load(block->gradient + at));
                total += gradient;
                products += gradient * load(block->pooled + at);
            }
            add_to(sums + group, total);
            add_to(sums + channels + group, products);
        }
}

/* raw_gradient = slope * raw + shift, and at the chosen places scale * gradient more. */
static void spread_gradients_pass(const void *task, long knee) {
    const any_block *block = task;
    long half = block->size / 2, channels = block->channels, line = block->size * channels;
    for (long row = 0; row < half; row++)
        for (long column = 0; column < half; column++)
            for (long group = 0; group < channels; group += LANES) {
                long at = ((knee * half + row) * half + column) * channels + group;
                long corner = (knee * block->size + row * 2) * line + column * 2 * channels + group;
                reals slope = load(block->slope + group), shift = load(block->shift + group);
                reals gradient = load(block->gradient + at) * load(block->scale + group);
                wholes choice = load_choice(block->choice + at);
                for (int place = 0; place < PLACES; place++) {
                    long pixel = corner + place / 2 * line + place % 2 * channels;
                    reals value = load(block->raw + pixel) * slope + shift;
                    store(block->raw_gradient + pixel, value + only(choice == place, gradient));
                }
            }
}

#define EXPORTED(name)                                                                    \
    void name(const void *task, long knees, parallel_t parallel, long threads) {          \
        spread(name##_pass, task, knees, parallel, threads);                              \
    }
EXPORTED(moments)
EXPORTED(first_forward)
EXPORTED(first_backward)
EXPORTED(pool)
EXPORTED(activate)
EXPORTED(sum_gradients)
EXPORTED(spread_gradients)

long lanes(void) { return LANES; }
