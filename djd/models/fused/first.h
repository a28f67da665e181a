/* The first block, from crops of one view: its convolution is computed where it is pooled. */

enum { FAR = 2 }; /* between two pixels under the kernel, at most */

typedef struct { /* all double: sums over a crop */
    double products[3][FAR + 1 + FAR]; /* of pixels so far below and right (from -FAR) of another */
    double pixels;
    double edge_rows[2][FAR + 2];      /* the same of the last and the first row: right, and pixels */
    double edge_columns[2][FAR + 2];   /* of the last and the first column: below, and pixels */
    double corners[2][2][2];           /* of one pixel: its square, itself */
} crop_sums;

/* sums: one `crop_sums` a knee; in double, since the variance of a kernel that takes differences of
   smooth crops is far smaller than the products. */
static void moments_pass(const block *restrict block, long knee) {
    long size = block->size, whole = (size + DOUBLES - 1) / DOUBLES * DOUBLES;
    const REAL *crop = block->crops + knee * size * size;
    crop_sums *sums = (crop_sums *)block->sums + knee;
    doubles products[3][FAR + 1 + FAR] = {{{0}}}, pixels = {0};
    double rows[3][FAR + whole + FAR]; /* three at a time, between zeros */
    __builtin_memset(rows, 0, sizeof rows);
    for (long row = -FAR; row < size; row++) {
        double *next = rows[(row + FAR) % 3] + FAR;
        for (long column = 0; column < size; column++)
            next[column] = row + FAR < size ? crop[(row + FAR) * size + column] : 0;
        if (row < 0) continue;
        const double *here = rows[row % 3] + FAR;
        for (long column = 0; column < whole; column += DOUBLES) {
            doubles pixel = load_doubles(here + column);
            pixels += pixel;
            for (long below = 0; below < 3; below++) {
                const double *there = rows[(row + below) % 3] + FAR + column;
                for (long right = below ? -FAR : 0; right <= FAR; right++)
                    products[below][FAR + right] += pixel * load_doubles(there + right);
            }
        }
        for (long first = 0; first < 2; first++) {
            double pixel = here[first ? 0 : size - 1];
            for (long below = 0; below < 3; below++)
                sums->edge_columns[first][below] +=
                    pixel * rows[(row + below) % 3][FAR + (first ? 0 : size - 1)];
            sums->edge_columns[first][3] += pixel;
            if (row != (first ? 0 : size - 1)) continue;
            for (long column = 0; column < size; column++) {
                for (long right = 0; right <= FAR; right++)
                    sums->edge_rows[first][right] += here[column] * here[column + right];
                sums->edge_rows[first][3] += here[column];
            }
            for (long left = 0; left < 2; left++) {
                double corner = sums->corners[first][left][1] = here[left ? 0 : size - 1];
                sums->corners[first][left][0] = corner * corner;
            }
        }
    }
    sums->pixels = total_of(pixels);
    for (long below = 0; below < 3; below++)
        for (long at = 0; at < FAR + 1 + FAR; at++)
            sums->products[below][at] = total_of(products[below][at]);
}

/* The part of a sum over crops that lies under a tap of the kernel. A tap in the upper row never meets
   the last row of a crop, a tap in the lower row never the first; columns likewise. The sum is that of
   products with the pixel so far below and right; with below = 3 it is that of pixels. */
static double met(const crop_sums *sums, double sum, long row, long column, long below, long right) {
    int pixels = below == 3, edge_row = row != 1 && (pixels || below == 0);
    int edge_column = column != 1 && (pixels || right == 0);
    if (edge_row) sum -= sums->edge_rows[row / 2][pixels ? 3 : right];
    if (edge_column) sum -= sums->edge_columns[column / 2][below];
    return edge_row && edge_column ? sum + sums->corners[row / 2][column / 2][pixels] : sum;
}

/* Stores covariances and means of the pixels under the kernel. */
static const double *set_moments(const block *block) {
    const crop_sums *sums = (const crop_sums *)total(block, sizeof(crop_sums) / sizeof(double));
    double *moments = block->statistics + 2 * block->channels, *means = moments + KERNEL * KERNEL;
    for (long one = 0; one < KERNEL; one++) {
        long row = one / 3, column = one % 3;
        means[one] = met(sums, sums->pixels, row, column, 3, 0) / values_of(block);
        for (long other = 0; other <= one; other++) { /* which lies above, or left */
            long below = row - other / 3, right = column - other % 3;
            double sum = sums->products[below][FAR + right];
            double product = met(sums, sum, other / 3, other % 3, below, right) / values_of(block);
            moments[one * KERNEL + other] = moments[other * KERNEL + one] =
                product - means[one] * means[other];
        }
    }
    return moments;
}

/* The product of a channel's weights and a row of covariances, means or other values of taps. */
static double weighed(const block *block, long channel, const double *taps) {
    double sum = 0;
    for (long tap = 0; tap < KERNEL; tap++) sum += block->weight[channel * KERNEL + tap] * taps[tap];
    return sum;
}

static void set_first_statistics(const block *block) {
    const double *moments = set_moments(block);
    for (long channel = 0; channel < block->channels; channel++) {
        double along[KERNEL], variance;
        for (long tap = 0; tap < KERNEL; tap++)
            along[tap] = weighed(block, channel, moments + tap * KERNEL);
        variance = weighed(block, channel, along);
        set_statistics(block, channel, weighed(block, channel, moments + KERNEL * KERNEL),
                       variance < 0 ? 0 : variance);
    }
}

static void set_signed_weight(const block *block) {
    for (long channel = 0; channel < block->channels; channel++)
        for (long tap = 0; tap < KERNEL; tap++)
            block->signed_weight[tap * block->channels + channel] =
                sign_of(block, channel) * block->weight[channel * KERNEL + tap];
}

/* The four rows under the kernel at a row of windows, between zeros. */
static void put_rows(REAL *rows, const block *block, long knee, long window_row) {
    long size = block->size, line = size + 2;
    __builtin_memset(rows, 0, 4 * line * sizeof(REAL));
    for (long under = 0; under < 4; under++) {
        long row = 2 * window_row + under - 1;
        const REAL *from = block->crops + knee * size * size + row * size;
        if (0 <= row && row < size)
            __builtin_memcpy(rows + under * line + 1, from, size * sizeof(REAL));
    }
}

/* The pixel under a tap of the kernel at a place of the window whose corner is given. */
static inline REAL under_kernel(const REAL *corner, long line, int place, long tap) {
    return corner[(place / 2 + tap / 3) * line + place % 2 + tap % 3];
}

static void first_forward_pass(const block *restrict block, long knee) {
    long line = block->size + 2, half = block->size / 2, channels = block->channels;
    REAL rows[4 * line];
    for (long row = 0; row < half; row++) {
        put_rows(rows, block, knee, row);
        for (long group = 0; group < channels; group += LANES) {
            reals scale = load(block->scale + group), shift = load(block->shift + group);
            reals weights[KERNEL];
            for (long tap = 0; tap < KERNEL; tap++)
                weights[tap] = load(block->signed_weight + tap * channels + group);
            for (long column = 0; column < half; column++) {
                long at = ((knee * half + row) * half + column) * channels + group;
                reals best = {0};
                wholes choice = {0};
                for (int place = 0; place < PLACES; place++) {
                    reals value = {0};
                    for (long tap = 0; tap < KERNEL; tap++)
                        value += under_kernel(rows + 2 * column, line, place, tap) * weights[tap];
                    keep_larger(&best, &choice, value, place);
                }
                reals activation = relu(best * scale + shift);
                store(block->activation + at, activation);
                store_choice(block->choice + at, unless_closed(activation, choice));
            }
        }
    }
}

/* sums (knee, 10, channels): of the gradient at the chosen places times the pixels under the
   kernel there; in the last line of the gradient alone. */
static void first_backward_pass(const block *restrict block, long knee) {
    long line = block->size + 2, half = block->size / 2, channels = block->channels;
    double *sums = block->sums + knee * (KERNEL + 1) * channels;
    REAL rows[4 * line];
    for (long row = 0; row < half; row++) {
        put_rows(rows, block, knee, row);
        for (long group = 0; group < channels; group += LANES) {
            reals products[KERNEL] = {{0}}, total = {0};
            for (long column = 0; column < half; column++) {
                long at = ((knee * half + row) * half + column) * channels + group;
                reals gradient = load(block->gradient + at);
                wholes choice = load_choice(block->choice + at);
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

static void set_first_gradients(const block *block, long channel) {
    const double *moments = block->statistics + 2 * block->channels;
    double mean = block->statistics[channel], inverse = block->statistics[block->channels + channel];
    double products[KERNEL], of_beta = block->sums[KERNEL * block->channels + channel];
    for (long tap = 0; tap < KERNEL; tap++)
        products[tap] = block->sums[tap * block->channels + channel];
    double of_gamma = (weighed(block, channel, products) - mean * of_beta) * inverse;
    for (long tap = 0; tap < KERNEL; tap++) {
        double even = of_beta * moments[KERNEL * KERNEL + tap];
        double sloping = of_gamma * inverse * weighed(block, channel, moments + tap * KERNEL);
        block->of_weight[channel * KERNEL + tap] =
            block->gamma[channel] * inverse * (products[tap] - even - sloping);
    }
    block->of_gamma[channel] = of_gamma;
    block->of_beta[channel] = of_beta;
}
