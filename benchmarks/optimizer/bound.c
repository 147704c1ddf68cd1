/* The same update on three flat buffers: what the memory allows. Built by bench.py with the system's compiler. */
#include <stddef.h>

void sgd(float *restrict w, const float *restrict g, float *restrict b, size_t n, float lr, float momentum, float decay) {
#pragma omp parallel for simd schedule(static)
    for (size_t i = 0; i < n; i++) {
        b[i] = momentum * b[i] + (g[i] + decay * w[i]);
        w[i] -= lr * b[i];
    }
}
