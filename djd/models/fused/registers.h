/* Vectors of as many channels as fill a register, and their operations. */

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

static inline reals signs_of(const REAL *gamma) {
    reals one = (reals){0} + 1;
    return either(load(gamma) < 0, -one, one);
}

/* Place 0 comes first, while `choice` is 0. Of equal values the first place wins, and NaN always wins,
   as in PyTorch's pooling. */
static inline void keep_larger(reals *best, wholes *choice, reals value, int place) {
    wholes larger = (value > *best) | (value != value);
    if (place == 0) {
        *best = value;
    } else {
        *best = either(larger, value, *best);
        *choice = (larger & place) | (~larger & *choice);
    }
}
