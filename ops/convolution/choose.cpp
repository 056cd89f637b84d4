#include "ops/convolution/choose.h"

#include <algorithm>
#include <cstdlib>

#include "graph/error.h"
#include "graph/text.h"
#include "ops/convolution/amx_forward.h"
#include "ops/convolution/amx_grad_src.h"
#include "ops/convolution/onednn_bands.h"
#include "ops/convolution/onednn_border.h"
#include "ops/convolution/onednn_whole.h"
#include "ops/convolution/pointwise.h"
#include "ops/convolution/source.h"
#include "ops/convolution/upsampled/blur_last_forward.h"
#include "ops/convolution/upsampled/blur_last_grad_src.h"
#include "ops/convolution/upsampled/blur_last_grad_weights.h"
#include "ops/convolution/upsampled/phase_filters_amx.h"
#include "ops/convolution/upsampled/resize_gradient.h"
#include "ops/convolution/weight_gradient/kernel.h"
#include "ops/convolution/winograd.h"
#include "ops/memory/onednn.h"
#include "ops/normalization/written_statistics.h"

namespace hourglass::kernels {
namespace {

constexpr auto kForward = Direction::forward, kGradSrc = Direction::grad_src, kGradWeights = Direction::grad_weights;
constexpr Isa kAny = Isa::any, kAvx2 = Isa::avx2, kBf16 = Isa::avx512_bf16, kAmx = Isa::amx;
// No CPU has it: the candidate does not take this element type.
constexpr Isa kNever = Isa::never;
constexpr bool kBesideAmx = true, kNotBesideAmx = false, kOurs = true, kOneDnn = false;
constexpr unsigned kAnySource = kPlain | kNormalized | kResized;
constexpr unsigned kWhole = kPlain | kGroups | kBandRows;

// clang-format off
constexpr Candidate kCandidates[] = {
  // name                        direction     f32     bf16    with AMX       takes                      kernel
  {"blur_last_forward",          kForward,     kAvx2,  kBf16,  kNotBesideAmx, kResized | kStatistics,    kOurs,   plan_blur_last_forward},
  {"winograd_forward",           kForward,     kAvx2,  kBf16,  kNotBesideAmx, kAnySource | kStatistics,  kOurs,   plan_winograd},
  {"phase_filters_amx",          kForward,     kNever, kAmx,   kBesideAmx,    kResized | kStatistics,    kOurs,   plan_phase_filters_amx},
  {"amx_forward",                kForward,     kNever, kAmx,   kBesideAmx,    kAnySource | kStatistics,  kOurs,   plan_amx_forward},
  {"pointwise_few",              kForward,     kAny,   kAny,   kNotBesideAmx, kNormalized | kStatistics, kOurs,   plan_pointwise_few},
  {"pointwise_vector",           kForward,     kAvx2,  kBf16,  kNotBesideAmx, kNormalized | kStatistics, kOurs,   plan_pointwise_vector},
  {"onednn_bands_forward",       kForward,     kAny,   kAny,   kBesideAmx,    kAnySource | kStatistics | kBandRows, kOneDnn, plan_onednn_bands},
  {"onednn_whole_forward",       kForward,     kAny,   kAny,   kBesideAmx,    kWhole,                    kOneDnn, plan_onednn_whole},

  {"blur_last_grad_src",         kGradSrc,     kAvx2,  kBf16,  kNotBesideAmx, kResized,                  kOurs,   plan_blur_last_grad_src},
  {"winograd_grad_src",          kGradSrc,     kAvx2,  kBf16,  kNotBesideAmx, kPlain,                    kOurs,   plan_winograd},
  {"amx_grad_src",               kGradSrc,     kNever, kAmx,   kBesideAmx,    kPlain,                    kOurs,   plan_amx_grad_src},
  {"onednn_transposed_grad_src", kGradSrc,     kAny,   kAny,   kBesideAmx,    kPlain | kBandRows,        kOneDnn, plan_onednn_transposed},
  {"onednn_border_grad_src",     kGradSrc,     kAny,   kAny,   kBesideAmx,    kPlain,                    kOneDnn, plan_onednn_border},
  {"onednn_bands_grad_src",      kGradSrc,     kAny,   kAny,   kBesideAmx,    kPlain | kBandRows,        kOneDnn, plan_onednn_bands},
  {"onednn_whole_grad_src",      kGradSrc,     kAny,   kAny,   kBesideAmx,    kWhole,                    kOneDnn, plan_onednn_whole},

  {"blur_last_grad_weights",     kGradWeights, kAvx2,  kBf16,  kNotBesideAmx, kResized,                  kOurs,   plan_blur_last_grad_weights},
  {"narrow_3x3_grad_weights",    kGradWeights, kAny,   kAny,   kNotBesideAmx, kAnySource,                kOurs,   plan_narrow_3x3},
  {"winograd_grad_weights",      kGradWeights, kAvx2,  kBf16,  kNotBesideAmx, kAnySource,                kOurs,   plan_winograd},
  {"narrow_1x1_grad_weights",    kGradWeights, kAny,   kAny,   kBesideAmx,    kAnySource,                kOurs,   plan_narrow_1x1},
  {"amx_grad_weights",           kGradWeights, kNever, kAmx,   kBesideAmx,    kAnySource,                kOurs,   plan_amx_grad_weights},
  {"vector_grad_weights",        kGradWeights, kAvx2,  kBf16,  kNotBesideAmx, kAnySource,                kOurs,   plan_vector_grad_weights},
  {"onednn_bands_grad_weights",  kGradWeights, kAny,   kAny,   kBesideAmx,    kPlain | kBandRows | kBf16Weights, kOneDnn, plan_onednn_bands},
  {"onednn_whole_grad_weights",  kGradWeights, kAny,   kAny,   kBesideAmx,    kWhole | kBf16Weights,     kOneDnn, plan_onednn_whole},
};
// clang-format on

// The names in HOURGLASS_SKIP. Throws Error for one that no candidate has.
std::vector<std::string_view> skipped_names() {
  const char* variable = std::getenv("HOURGLASS_SKIP");
  std::vector<std::string_view> names;
  std::string_view rest = variable == nullptr ? "" : variable;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(','), rest.size());
    const std::string_view name = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (name.empty()) continue;
    const bool known = std::any_of(std::begin(kCandidates), std::end(kCandidates),
                                   [&](const Candidate& candidate) { return candidate.name == name; });
    if (!known) {
      std::vector<std::string_view> all;
      for (const Candidate& candidate : kCandidates) all.push_back(candidate.name);
      fail("HOURGLASS_SKIP names '{}', which is no kernel of convolutions; there are {}", name, join(all, ", "));
    }
    names.push_back(name);
  }
  return names;
}

unsigned source_of(const Convolution& conv) {
  if (!conv.normalized) return kPlain;
  return conv.normalized->resized ? kResized : kNormalized;
}

bool has_bf16_weights(const Convolution& conv) {
  return conv.direction == Direction::grad_weights && conv.weights.dtype != DType::f32;
}

// Why the candidate declines by its line in the table alone; empty where its own plan() must be asked.
std::string_view reason_against(const Candidate& candidate, const Convolution& conv) {
  const auto takes = [&](unsigned bits) { return (candidate.takes & bits) == bits; };
  const bool is_bf16 = conv.src.dtype == DType::bf16;
  const Isa needed = is_bf16 ? candidate.bf16 : candidate.f32;
  if (needed == Isa::never) return is_bf16 ? "not for bf16" : "for bf16 only";
  if (!has(needed)) return "needs other instructions than this CPU has";
  if (is_bf16 && !candidate.beside_amx && has(Isa::amx)) return "AMX is faster";
  if (!takes(source_of(conv))) {
    if (conv.direction == Direction::grad_src) {
      return conv.normalized ? "does not pass the gradient on through a resize" : "needs a source that was resized";
    }
    if (takes(kNormalized)) return conv.normalized ? "does not resize its source" : "needs a source to normalise";
    return takes(kResized) ? "needs a source to resize" : "does not normalise its source";
  }
  if (conv.statistics && !takes(kStatistics)) return "takes no statistics of what it writes";
  if (conv.group != 1 && !takes(kGroups)) return "one group only";
  if (conv.band_rows != 0 && !takes(kBandRows)) return "does not work in bands";
  if (has_bf16_weights(conv) && !takes(kBf16Weights)) return "sums the gradient of the weights to f32 only";
  return {};
}

// The context of a convolution whose source was normalised into memory before: channels-last, and no other inputs.
PlanContext behind_normalization_context(const PlanContext& ctx, const Convolution& conv) {
  return {ctx.graph, ctx.node, ctx.engine, {with_tag(conv.src, Tag::nhwc), ctx.src[1]}, LayoutPolicy::channels_last};
}

// The convolution without its extra work, which becomes passes of their own: normalisation of the source before it,
// statistics of dst or Resize's gradient after it.
KernelPlan plan_apart(const PlanContext& ctx, const Convolution& conv) {
  Convolution alone = conv;
  alone.normalized.reset();
  alone.statistics.reset();
  if (conv.direction == Direction::grad_src) {
    return before_resize_gradient(ctx, conv, plan_convolution(ctx, alone));
  }
  if (!conv.normalized) return before_statistics(conv.dst, *conv.statistics, plan_convolution(ctx, alone));
  KernelPlan plan = plan_convolution(behind_normalization_context(ctx, conv), alone);
  plan = behind_normalization(ctx.engine, conv, std::move(plan));
  return conv.statistics ? before_statistics(conv.dst, *conv.statistics, std::move(plan)) : std::move(plan);
}

}  // namespace

std::span<const Candidate> convolution_candidates() { return kCandidates; }

KernelPlan plan_convolution(const PlanContext& ctx, const Convolution& conv) {
  const std::vector<std::string_view> skipped = skipped_names();
  std::vector<std::string> declined;
  const auto decline = [&](const Candidate& candidate, std::string_view reason) {
    declined.push_back(fmt::format("{}: {}", candidate.name, reason));
  };
  for (const Candidate& candidate : kCandidates) {
    if (candidate.direction != conv.direction) continue;
    if (std::find(skipped.begin(), skipped.end(), candidate.name) != skipped.end()) {
      decline(candidate, "HOURGLASS_SKIP names it");
      continue;
    }
    if (const std::string_view reason = reason_against(candidate, conv); !reason.empty()) {
      decline(candidate, reason);
      continue;
    }
    Answer answer = candidate.plan(ctx, conv);
    if (const auto* no = std::get_if<Declined>(&answer)) {
      decline(candidate, no->reason);
      continue;
    }
    KernelPlan plan = std::get<KernelPlan>(std::move(answer));
    plan.implementation = fmt::format("{}:{}", candidate.name, plan.implementation);
    plan.ours = candidate.ours;
    plan.declined = std::move(declined);
    return plan;
  }
  if (conv.normalized || conv.statistics) {
    declined.emplace_back("one kernel for all of it; the convolution alone:");
    KernelPlan plan = plan_apart(ctx, conv);
    plan.ours = false;
    plan.declined.insert(plan.declined.begin(), declined.begin(), declined.end());
    return plan;
  }
  fail("there is no {} convolution for this CPU{}: {}", conv.src.dtype,
       conv.src.dtype == DType::bf16 ? "; compute in f32 instead" : "", join(declined, "; "));
}

}  // namespace hourglass::kernels
