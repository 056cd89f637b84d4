#pragma once

#include <functional>
#include <memory>

#include "engine/train/fit.h"

namespace hourglass {

// Makes the fit that is to be timed on so many threads, each kept to its place (FitOptions::places).
using FitMaker = std::function<std::unique_ptr<Fit>(int threads, const std::vector<CpuSet>& places)>;

}  // namespace hourglass
