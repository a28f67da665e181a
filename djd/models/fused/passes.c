/* What a block does to memory beside its convolution: one call a direction, few passes each.

   Arrays lie with channels last; LANES channels at a time fill a vector register of the
   processor: a pass took up to twelve times as long with vectors of two registers. Each pass does
   one knee, and `spread` gives knees to the threads of PyTorch's own pool. What is summed is summed
   a knee, and knees are added up in their order: results don't depend on how many threads there
   are. A line of pixels is summed in REAL, lines and all that is of a channel are in double.

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

typedef struct { /* as `passes.py` packs it; each call reads and writes some of these */
    parallel_t parallel;
    long threads, knees, size, channels;
    double eps, momentum;
    const REAL *crops;             /* (knee, size, size), of the first block */
    const REAL *raw;               /* (knee, size, size, channels): what the convolution gave */
    const REAL *weight;            /* (channels, 9), of the first block */
    const REAL *bias, *gamma, *beta;
    REAL *running_mean, *running_var;
    int64_t *batches;              /* one number: how many have moved these two */
    REAL *pooled;                  /* (knee, size / 2, size / 2, channels): chosen of each window */
    uint8_t *choice;               /* as pooled */
    REAL *activation;              /* as pooled */
    double *statistics;            /* for the gradient: (channels) mean, (channels) 1 / deviation, and
                                      of the first block (10, 9), see `finish_moments` */
    double *sums;                  /* (knee, ...): of one call */
    const REAL *gradient;          /* of the activation */
    REAL *of_raw;                  /* as raw: gradients, here and below */
    REAL *of_weight, *of_gamma, *of_beta;
    REAL *scale, *shift, *slope;   /* (channels), of one call */
    REAL *signed_weight;           /* (9, channels), of one call */
} block;

typedef void pass(const block *, long knee);
typedef struct {
    pass *pass;
    const block *block;
    long next;
} queue;

static void work_off(void *shared) {
    queue *todo = shared;
    long knee;
    while ((knee = __atomic_fetch_add(&todo->next, 1, __ATOMIC_RELAXED)) < todo->block->knees)
        todo->pass(todo->block, knee);
}

static void spread(pass *pass, const block *block) {
    queue todo = {pass, block, 0};
    if (block->parallel && block->threads > 1)
        block->parallel(work_off, &todo, (unsigned)block->threads, 0);
    else
        work_off(&todo);
}

/* Adds the sums of all knees to those of the first. */
static double *total(const block *block, long length) {
    for (long at = length; at < block->knees * length; at++)
        block->sums[at % length] += block->sums[at];
    return block->sums;
}

static inline double sign_of(REAL gamma) { return gamma < 0 ? -1 : 1; }

/* What grows with a channel's chosen values, times their sign, by mean and 1 / deviation. */
static void set_lines(const block *block, long channel, double mean, double inverse) {
    double scale = block->gamma[channel] * inverse;
    block->scale[channel] = sign_of(block->gamma[channel]) * scale;
    block->shift[channel] = block->beta[channel] - mean * scale;
}

/* Keeps a channel's statistics, and moves the running ones as PyTorch does: by the unbiased
   variance. */
static void finish_statistics(const block *block, long channel, double mean, double variance) {
    double count = (double)block->knees * block->size * block->size;
    double inverse = 1 / __builtin_sqrt(variance + block->eps);
    REAL *running_mean = block->running_mean + channel, *running_var = block->running_var + channel;
    *running_mean += block->momentum * (mean + block->bias[channel] - *running_mean);
    *running_var += block->momentum * (variance * (count / (count - 1)) - *running_var);
    block->statistics[channel] = mean;
    block->statistics[block->channels + channel] = inverse;
    set_lines(block, channel, mean, inverse);
}

static void set_running_lines(const block *block) {
    for (long channel = 0; channel < block->channels; channel++) {
        double variance = block->running_var[channel] + block->eps;
        double mean = block->running_mean[channel] - block->bias[channel];
        set_lines(block, channel, mean, 1 / __builtin_sqrt(variance));
    }
}

/* ---- The first block, from crops of one view: its convolution is computed where it is pooled. ---- */

/* What a tap in a row and column of the kernel meets of a sum over a crop, whose last and first rows
   and columns are given. */
static inline double met(double all, const double *rows, const double *columns, double corner,
                         long row, long column) {
    if (row != 1) all -= rows[row / 2];
    if (column != 1) all -= columns[column / 2];
    return row != 1 && column != 1 ? all + corner : all;
}

/* sums (knee, 10, 9): products of each two pixels under the kernel, and in the last line the pixels
   themselves; in double, since what is left of smooth crops after a kernel that takes differences
   is far smaller than the products.

   Two taps meet the pixels that lie as far apart, wherever in the kernel the two are: 13 products
   of pixels are summed in place of 45. Only an upper tap never meets the crop's last row, a lower
   one the first; columns likewise. */
static void moments_pass(const block *block, long knee) {
    enum { FAR = 2 };
    long size = block->size, whole = (size + DOUBLES - 1) / DOUBLES * DOUBLES;
    double rows[3][FAR + whole + FAR];
    doubles products[3][2 * FAR + 1] = {{{0}}}, pixels = {0};
    double rows_ends[FAR + 2][2] = {{0}}, columns_ends[FAR + 2][2] = {{0}}, corners[2][2];
    const REAL *crop = block->crops + knee * size * size;
    __builtin_memset(rows, 0, sizeof rows);
    for (long row = -FAR; row < size; row++) {
        double *next = rows[(row + FAR) % 3] + FAR;
        for (long column = 0; column < size; column++)
            next[column] = row + FAR < size ? crop[(row + FAR) * size + column] : 0;
        if (row < 0) continue;
        const double *under[3];
        for (long down = 0; down < 3; down++) under[down] = rows[(row + down) % 3] + FAR;
        for (long column = 0; column < whole; column += DOUBLES) {
            doubles pixel = load_doubles(under[0] + column);
            pixels += pixel;
            for (long right = 0; right <= FAR; right++)
                products[0][FAR + right] += pixel * load_doubles(under[0] + column + right);
            for (long down = 1; down < 3; down++)
                for (long right = -FAR; right <= FAR; right++)
                    products[down][FAR + right] += pixel * load_doubles(under[down] + column + right);
        }
        for (long end = 0; end < 2; end++) {
            long column = end ? 0 : size - 1;
            for (long down = 0; down < 3; down++)
                columns_ends[down][end] += under[0][column] * under[down][column];
            columns_ends[3][end] += under[0][column];
            if (row != (end ? 0 : size - 1)) continue;
            for (column = 0; column < size; column++) {
                for (long right = 0; right <= FAR; right++)
                    rows_ends[right][end] += under[0][column] * under[0][column + right];
                rows_ends[3][end] += under[0][column];
            }
            corners[end][0] = under[0][size - 1], corners[end][1] = under[0][0];
        }
    }
    double *sums = block->sums + knee * (KERNEL + 1) * KERNEL;
    for (long one = 0; one < KERNEL; one++) {
        long row = one / 3, column = one % 3;
        double corner = corners[row / 2][column / 2];
        sums[KERNEL * KERNEL + one] =
            met(total_of(pixels), rows_ends[3], columns_ends[3], corner, row, column);
        for (long other = one; other < KERNEL; other++) {
            long down = other / 3 - row, right = other % 3 - column;
            sums[one * KERNEL + other] = sums[other * KERNEL + one] =
                met(total_of(products[down][FAR + right]), rows_ends[right < 0 ? 0 : right],
                    columns_ends[down], corner * corner, down ? 1 : row, right ? 1 : column);
        }
    }
}

/* Keeps covariances and means of the pixels under the kernel. */
static double *finish_moments(const block *block) {
    double count = (double)block->knees * block->size * block->size;
    double *moments = block->statistics + 2 * block->channels, *means = moments + KERNEL * KERNEL;
    double *sums = total(block, (KERNEL + 1) * KERNEL);
    for (long at = 0; at < (KERNEL + 1) * KERNEL; at++) moments[at] = sums[at] / count;
    for (long one = 0; one < KERNEL; one++)
        for (long other = 0; other < KERNEL; other++)
            moments[one * KERNEL + other] -= means[one] * means[other];
    return moments;
}

/* The product of a row of covariances, or of means, and a channel's weights. */
static double by_weights(const block *block, long channel, const double *row) {
    double sum = 0;
    for (long tap = 0; tap < KERNEL; tap++) sum += row[tap] * block->weight[channel * KERNEL + tap];
    return sum;
}

static void set_signed_weight(const block *block) {
    for (long channel = 0; channel < block->channels; channel++)
        for (long tap = 0; tap < KERNEL; tap++)
            block->signed_weight[tap * block->channels + channel] =
                sign_of(block->gamma[channel]) * block->weight[channel * KERNEL + tap];
}

/* The pixels under the kernel at a place of the window whose corner is given. */
static inline REAL under_kernel(const REAL *corner, long line, int place, long tap) {
    return corner[(place / 2 + tap / 3) * line + place % 2 + tap % 3];
}

/* The four rows under the kernel at a row of windows, between zeros. */
static void put_rows(REAL *rows, const block *block, long knee, long window_row) {
    long size = block->size, line = size + 2;
    for (long under = 0; under < 4; under++, rows += line) {
        long row = 2 * window_row + under - 1;
        const REAL *from = block->crops + (knee * size + row) * size;
        rows[0] = rows[line - 1] = 0;
        for (long column = 0; column < size; column++)
            rows[1 + column] = row < 0 || row >= size ? 0 : from[column];
    }
}

static void first_forward_pass(const block *block, long knee) {
    long line = block->size + 2, half = block->size / 2, channels = block->channels;
    REAL rows[4 * line]; /* those under the kernel at a window */
    for (long row = 0; row < half; row++) {
        put_rows(rows, block, knee, row);
        for (long group = 0; group < channels; group += LANES) {
            reals scale = load(block->scale + group), shift = load(block->shift + group);
            reals weights[KERNEL];
            for (long tap = 0; tap < KERNEL; tap++)
                weights[tap] = load(block->signed_weight + tap * channels + group);
            for (long column = 0; column < half; column++) {
                reals best = {0};
                wholes choice = {0};
                for (int place = 0; place < PLACES; place++) {
                    reals value = {0};
                    for (long tap = 0; tap < KERNEL; tap++)
                        value += under_kernel(rows + 2 * column, line, place, tap) * weights[tap];
                    if (place == 0)
                        best = value;
                    else
                        keep_larger(&best, &choice, value, place);
                }
                reals activation = relu(best * scale + shift);
                long to = ((knee * half + row) * half + column) * channels + group;
                store(block->activation + to, activation);
                store_choice(block->choice + to, unless_closed(activation, choice));
            }
        }
    }
}

/* sums (knee, 10, channels): of the gradient at the chosen places times the pixels under the
   kernel there; in the last line of the gradient alone. */
static void first_backward_pass(const block *block, long knee) {
    long line = block->size + 2, half = block->size / 2, channels = block->channels;
    double *sums = block->sums + knee * (KERNEL + 1) * channels;
    REAL rows[4 * line];
    for (long at = 0; at < (KERNEL + 1) * channels; at++) sums[at] = 0;
    for (long row = 0; row < half; row++) {
        put_rows(rows, block, knee, row);
        for (long group = 0; group < channels; group += LANES) {
            reals products[KERNEL] = {{0}}, total = {0};
            for (long column = 0; column < half; column++) {
                long from = ((knee * half + row) * half + column) * channels + group;
                reals gradient = load(block->gradient + from);
                wholes choice = load_choice(block->choice + from);
                total += only(choice < CLOSED, gradient);
                for (int place = 0; place < PLACES; place++) {
                    reals here = only(choice == place, gradient);
                    for (long tap = 0; tap < KERNEL; tap++)
                        products[tap] += under_kernel(rows + 2 * column, line, place, tap) * here;
                }
            }
            for (long tap = 0; tap < KERNEL; tap++)
                add_to(sums + tap * channels + group, products[tap]);
            add_to(sums + KERNEL * channels + group, total);
        }
    }
}

static void finish_first_gradients(const block *block, long channel) {
    const double *moments = block->statistics + 2 * block->channels, *sums = block->sums + channel;
    double mean = block->statistics[channel], inverse = block->statistics[block->channels + channel];
    double of_beta = sums[KERNEL * block->channels], products[KERNEL], of_gamma;
    for (long tap = 0; tap < KERNEL; tap++) products[tap] = sums[tap * block->channels];
    of_gamma = (by_weights(block, channel, products) - mean * of_beta) * inverse;
    for (long tap = 0; tap < KERNEL; tap++) {
        double even = of_beta * moments[KERNEL * KERNEL + tap];
        double sloping = of_gamma * inverse * by_weights(block, channel, moments + tap * KERNEL);
        block->of_weight[channel * KERNEL + tap] =
            block->gamma[channel] * inverse * (products[tap] - even - sloping);
    }
    block->of_gamma[channel] = of_gamma;
    block->of_beta[channel] = of_beta;
}

/* ---- Any block, around PyTorch's convolution. ---- */

/* The largest of a window whose corner is given, of values times their channel's sign. */
static inline reals pooled_window(const REAL *corner, long line, long channels, reals sign,
                                  wholes *choice) {
    reals best = load(corner) * sign;
    *choice = (wholes){0};
    for (int place = 1; place < PLACES; place++)
        keep_larger(&best, choice, load(corner + place / 2 * line + place % 2 * channels) * sign, place);
    return best;
}

static inline reals signs_of(const REAL *gamma) {
    reals one = (reals){0} + 1;
    return either(load(gamma) < 0, -one, one);
}

/* sums (knee, 2, channels): of the raw values, and of their squared distances from the knee's mean. */
static void pool_pass(const block *block, long knee) {
    long half = block->size / 2, channels = block->channels, line = block->size * channels;
    const REAL *raw = block->raw + knee * block->size * line;
    double *sums = block->sums + knee * 2 * channels, pixels = block->size * block->size;
    for (long at = 0; at < 2 * channels; at++) sums[at] = 0;
    for (long row = 0; row < block->size; row++)
        for (long group = 0; group < channels; group += LANES) {
            reals total = {0};
            for (long column = 0; column < block->size; column += 2) {
                const REAL *both = raw + row * line + column * channels + group;
                total += load(both) + load(both + channels);
            }
            add_to(sums + group, total);
        }
    for (long row = 0; row < half; row++)
        for (long group = 0; group < channels; group += LANES) {
            reals mean = mean_of(sums + group, pixels), squares = {0};
            reals sign = signs_of(block->gamma + group);
            for (long column = 0; column < half; column++) {
                const REAL *corner = raw + row * 2 * line + column * 2 * channels + group;
                wholes choice;
                long to = ((knee * half + row) * half + column) * channels + group;
                store(block->pooled + to, pooled_window(corner, line, channels, sign, &choice));
                store_choice(block->choice + to, choice);
                reals here = {0}; /* a sum of its own, which needs not wait for the window before */
                for (int place = 0; place < PLACES; place++) {
                    reals apart = load(corner + place / 2 * line + place % 2 * channels) - mean;
                    here += apart * apart;
                }
                squares += here;
            }
            add_to(sums + channels + group, squares);
        }
}

static void finish_pool(const block *block, long channel) {
    double pixels = block->size * block->size, mean = 0, within = 0, between = 0;
    const double *sums = block->sums + channel;
    for (long knee = 0; knee < block->knees; knee++) {
        mean += sums[2 * knee * block->channels] / pixels / block->knees;
        within += sums[(2 * knee + 1) * block->channels] / pixels / block->knees;
    }
    for (long knee = 0; knee < block->knees; knee++) {
        double apart = sums[2 * knee * block->channels] / pixels - mean;
        between += apart * apart / block->knees;
    }
    finish_statistics(block, channel, mean, within + between);
}

static void activate_pass(const block *block, long knee) {
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

static void score_pass(const block *block, long knee) {
    long half = block->size / 2, channels = block->channels, line = block->size * channels;
    for (long row = 0; row < half; row++)
        for (long column = 0; column < half; column++)
            for (long group = 0; group < channels; group += LANES) {
                long corner = (knee * block->size + row * 2) * line + column * 2 * channels + group;
                wholes choice;
                reals best = pooled_window(block->raw + corner, line, channels,
                                           signs_of(block->gamma + group), &choice);
                long to = ((knee * half + row) * half + column) * channels + group;
                reals scale = load(block->scale + group), shift = load(block->shift + group);
                store(block->activation + to, relu(best * scale + shift));
            }
}

/* sums (knee, 2, channels): of the gradient that passes the ReLU, and of it times the pooled values. */
static void sum_gradients_pass(const block *block, long knee) {
    long half = block->size / 2, channels = block->channels;
    double *sums = block->sums + knee * 2 * channels;
    for (long at = 0; at < 2 * channels; at++) sums[at] = 0;
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

static void finish_gradients(const block *block, long channel) {
    double count = (double)block->knees * block->size * block->size;
    double mean = block->statistics[channel], inverse = block->statistics[block->channels + channel];
    double scale = block->gamma[channel] * inverse, of_beta = block->sums[channel];
    double products = sign_of(block->gamma[channel]) * block->sums[block->channels + channel];
    double of_gamma = (products - mean * of_beta) * inverse;
    double slope = -scale * inverse * of_gamma / count;
    block->scale[channel] = scale;
    block->slope[channel] = slope;
    block->shift[channel] = -scale * of_beta / count - slope * mean;
    block->of_gamma[channel] = of_gamma;
    block->of_beta[channel] = of_beta;
}

/* of_raw = slope * raw + shift, and at the chosen places scale * gradient more. */
static void spread_gradients_pass(const block *block, long knee) {
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
                    store(block->of_raw + pixel, value + only(choice == place, gradient));
                }
            }
}

/* ---- A head: mean and largest of each channel of a map, (knee, 2, channels) in `activation`. ---- */

static void head_pass(const block *block, long knee) {
    long size = block->size, channels = block->channels, line = size * channels;
    const REAL *map = block->raw + knee * size * line;
    REAL *to = block->activation + knee * 2 * channels;
    for (long group = 0; group < channels; group += LANES) {
        double sums[LANES] = {0};
        reals best = load(map + group);
        for (long row = 0; row < size; row++) {
            reals total = {0};
            for (long column = 0; column < size; column++) {
                wholes place;
                reals value = load(map + row * line + column * channels + group);
                total += value;
                keep_larger(&best, &place, value, 0);
            }
            add_to(sums, total);
        }
        store(to + group, mean_of(sums, size * size));
        store(to + channels + group, best);
    }
}

/* Equal largest ones share the gradient, as in PyTorch. */
static void head_backward_pass(const block *block, long knee) {
    long pixels = block->size * block->size, channels = block->channels, first = knee * pixels;
    const REAL *largest = block->activation + (knee * 2 + 1) * channels;
    const REAL *gradient = block->gradient + knee * 2 * channels;
    for (long group = 0; group < channels; group += LANES) {
        reals best = load(largest + group), count = {0};
        for (long pixel = first; pixel < first + pixels; pixel++)
            count -= __builtin_convertvector(load(block->raw + pixel * channels + group) == best, reals);
        reals even = load(gradient + group) / (REAL)pixels, share = load(gradient + channels + group) / count;
        for (long pixel = first; pixel < first + pixels; pixel++) {
            long at = pixel * channels + group;
            store(block->of_raw + at, even + only(load(block->raw + at) == best, share));
        }
    }
}

/* ---- What PyTorch calls. ---- */

#define OWN(given)                                                                   \
    block own = *given;                                                              \
    REAL lines[3 * own.channels];                                                    \
    own.scale = lines, own.shift = lines + own.channels, own.slope = own.shift + own.channels

#define OWN_FIRST(given)                                                             \
    OWN(given);                                                                      \
    REAL signed_weight[KERNEL * own.channels];                                       \
    own.signed_weight = signed_weight;                                               \
    set_signed_weight(&own)

void first_forward(const block *given) {
    OWN_FIRST(given);
    spread(moments_pass, &own);
    const double *moments = finish_moments(&own);
    for (long channel = 0; channel < own.channels; channel++) {
        double variance = 0;
        for (long tap = 0; tap < KERNEL; tap++)
            variance += own.weight[channel * KERNEL + tap] *
                        by_weights(&own, channel, moments + tap * KERNEL);
        double mean = by_weights(&own, channel, moments + KERNEL * KERNEL);
        finish_statistics(&own, channel, mean, variance < 0 ? 0 : variance);
    }
    spread(first_forward_pass, &own);
    ++*own.batches;
}

void first_score(const block *given) {
    OWN_FIRST(given);
    set_running_lines(&own);
    spread(first_forward_pass, &own);
}

void first_backward(const block *given) {
    spread(first_backward_pass, given);
    total(given, (KERNEL + 1) * given->channels);
    for (long channel = 0; channel < given->channels; channel++) finish_first_gradients(given, channel);
}

void forward(const block *given) {
    OWN(given);
    spread(pool_pass, &own);
    for (long channel = 0; channel < own.channels; channel++) finish_pool(&own, channel);
    spread(activate_pass, &own);
    ++*own.batches;
}

void score(const block *given) {
    OWN(given);
    set_running_lines(&own);
    spread(score_pass, &own);
}

void backward(const block *given) {
    OWN(given);
    spread(sum_gradients_pass, &own);
    total(&own, 2 * own.channels);
    for (long channel = 0; channel < own.channels; channel++) finish_gradients(&own, channel);
    spread(spread_gradients_pass, &own);
}

void head(const block *given) { spread(head_pass, given); }
void head_backward(const block *given) { spread(head_backward_pass, given); }

long lanes(void) { return LANES; }
