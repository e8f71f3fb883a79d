// The built-in networks with few channels: random weights of the published size give the names, and
// every channel count from 16 on is divided by the same number.
#ifndef RML_TESTS_SUPPORT_NARROW_H
#define RML_TESTS_SUPPORT_NARROW_H

#include "loaders/weights/weights.h"
#include "tests/support/check.h"
#include "tests/support/uniform.h"

static inline rml_shape narrow_shape(rml_shape shape, int64_t divisor)
{
    for (int i = 0; i < shape.rank && i < 2; i++)
        if (shape.dim[i] >= 16)
            shape.dim[i] = shape.dim[i] / divisor > 0 ? shape.dim[i] / divisor : 1;
    return shape;
}

// Half the variance of He's rule: each of the many residual adds brings it back, and values stay
// small enough for a tolerance to mean something.
static inline void narrow_fill(float *data, size_t count, const rml_shape *shape, const char *name,
                               uint64_t seed)
{
    size_t reads = 1;
    for (int i = 1; i < shape->rank; i++)
        reads *= (size_t)shape->dim[i];
    const bool near_one =
        strstr(name, "running_var") || (shape->rank == 1 && strstr(name, "weight"));
    const float range = shape->rank == 1 ? 0.125f : sqrtf(3.0f / (float)reads);
    for (size_t i = 0; i < count; i++)
        data[i] = (near_one ? 1.0f : 0.0f) + range * uniform_f32(seed, i);
}

// Random weights of network `name`, of the published size without `config`; NULL when something
// failed, which has been reported.
static inline rml_weights *random_weights(const char *name, const char *config, uint64_t seed)
{
    rml_weights *weights = NULL;
    rml_model_settings settings = rml_model_settings_default();
    rml_error err = {0};
    settings.config = config;
    CHECK_MSG(rml_weights_create_random(&weights, name, seed, &settings, &err) == RML_OK, "%s",
              err.message);
    return weights;
}

// The same with few channels.
static inline rml_weights *narrow_weights_of(const char *name, const char *config, int64_t divisor,
                                             const rml_allocator *allocator)
{
    rml_weights *full = random_weights(name, config, 1), *narrow = NULL;
    rml_error err = {0};
    if (!full)
        return NULL;
    CHECK(rml_weights_create(&narrow, allocator, &err) == RML_OK);
    for (size_t i = 0; narrow && i < rml_weights_count(full); i++) {
        const rml_weight_info info = rml_weights_at(full, i);
        const rml_shape shape = narrow_shape(info.shape, divisor);
        float *data = NULL;
        size_t count = 1;
        for (int k = 0; k < shape.rank; k++)
            count *= (size_t)shape.dim[k];
        CHECK_MSG(rml_weights_add_f32(narrow, info.name, &shape, &data, &err) == RML_OK, "%s",
                  err.message);
        if (data)
            narrow_fill(data, count, &shape, info.name, 7919 * (uint64_t)(i + 1));
    }
    rml_weights_close(&full);
    return narrow;
}

static inline rml_weights *narrow_weights(const char *name, int64_t divisor,
                                          const rml_allocator *allocator)
{
    return narrow_weights_of(name, NULL, divisor, allocator);
}

#endif
