/* The arguments of a call, its passes on threads, and the values of a channel. */

typedef void (*parallel_t)(void (*)(void *), void *, unsigned, unsigned); /* OpenMP's GOMP_parallel */

typedef struct { /* as `passes.py` packs it; each call reads and writes some of these */
    parallel_t parallel;
    long threads, knees, size, channels;
    double eps, momentum;
    const REAL *crops;           /* (knee, size, size), of the first block */
    const REAL *raw;             /* (knee, size, size, channels): what the convolution gave */
    const REAL *weight;          /* (channels, 9), of the first block */
    const REAL *bias, *gamma, *beta;
    REAL *running_mean, *running_var;
    int64_t *batches;            /* one number: how many have moved these two */
    REAL *pooled;                /* (knee, size / 2, size / 2, channels): what was chosen, signed */
    uint8_t *choice;             /* as pooled */
    REAL *activation;            /* as pooled */
    double *statistics;          /* (channels) mean, (channels) 1 / deviation, and of the first block
                                    (10, 9): covariances of pixels under the kernel, and means */
    double *sums;                /* (knee, ...), zero before */
    const REAL *gradient;        /* of the activation */
    REAL *of_raw;                /* as raw: gradients, here and below */
    REAL *of_weight, *of_gamma, *of_beta;
    REAL *scale, *shift, *slope; /* (channels); these and the next lie on the stack of the call */
    REAL *signed_weight;         /* (9, channels) */
} block;

static inline long pixel_at(const block *block, long knee, long row, long column) {
    return ((knee * block->size + row) * block->size + column) * block->channels;
}

static inline long window_at(const block *block, long knee, long row, long column) {
    long half = block->size / 2;
    return ((knee * half + row) * half + column) * block->channels;
}

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

static double values_of(const block *block) { return (double)block->knees * block->size * block->size; }

/* A pass over fewer values takes less time (0.2 ms) than waking threads on cores that other processes
   use. When such passes were shared, a step of the default recipe on two threads took 5.9 ms in place
   of 4.0 on two busy cores, and 2.3 either way on quiet ones (two-core x86-64, AVX-512, 2026-11-30). */
enum { WORTH_SHARING = 1 << 20 };

static void spread(pass *pass, const block *block) {
    queue todo = {pass, block, 0};
    int share = values_of(block) * block->channels >= WORTH_SHARING;
    if (share && block->parallel && block->threads > 1)
        block->parallel(work_off, &todo, (unsigned)block->threads, 0);
    else
        work_off(&todo);
}

/* Adds the sums of all knees to those of the first. */
static const double *total(const block *block, long length) {
    for (long at = length; at < block->knees * length; at++)
        block->sums[at % length] += block->sums[at];
    return block->sums;
}

static double sign_of(const block *block, long channel) { return block->gamma[channel] < 0 ? -1 : 1; }

/* Activation is what was chosen, times its sign, scaled and shifted. */
static void set_lines(const block *block, long channel, double mean, double inverse) {
    double scale = block->gamma[channel] * inverse;
    block->scale[channel] = sign_of(block, channel) * scale;
    block->shift[channel] = block->beta[channel] - mean * scale;
}

/* In training; running statistics move as PyTorch's do, by the unbiased variance. */
static void set_statistics(const block *block, long channel, double mean, double variance) {
    double count = values_of(block), inverse = 1 / __builtin_sqrt(variance + block->eps);
    REAL *running_mean = block->running_mean + channel, *running_var = block->running_var + channel;
    *running_mean += block->momentum * (mean + block->bias[channel] - *running_mean);
    *running_var += block->momentum * (variance * (count / (count - 1)) - *running_var);
    block->statistics[channel] = mean;
    block->statistics[block->channels + channel] = inverse;
    set_lines(block, channel, mean, inverse);
}

/* In evaluation. */
static void set_running_statistics(const block *block) {
    for (long channel = 0; channel < block->channels; channel++) {
        double variance = block->running_var[channel] + block->eps;
        double mean = block->running_mean[channel] - block->bias[channel];
        set_lines(block, channel, mean, 1 / __builtin_sqrt(variance));
    }
}
