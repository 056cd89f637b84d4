// Collaborative filtering: similar patches of an image, wherever they lie, clean each other.
//
// The second stage of BM3D (Dabov, Foi, Katkovnik, Egiazarian, IEEE Transactions on Image Processing 16, 2007): for
// each reference patch, the patches most alike are found in a pilot estimate and stacked; the stack is transformed by a
// 3-D DCT; each coefficient of the source is multiplied by the Wiener gain p^2 / (p^2 + sigma^2) that the pilot's
// coefficient p gives; all patches go back where they came from, averaged with weights 1 / sum(gain^2).
//
// The network's prior is local and smooth; what it lost of fine repeated structure, other places of the same image
// still show.
#pragma once

#include <vector>

#include "engine/restore/jpeg_model.h"

namespace hourglass {

// Planes of equal size, at least 8x8, one per colour component. Patches are compared in the first plane. `pilot`
// decides, `source` is filtered with sigmas[i] grey levels of noise
// (0 leaves its plane as it is). The result does not depend on the number of
// threads.
std::vector<Plane> collaborative_filter(const std::vector<Plane>& pilot, const std::vector<Plane>& source,
                                        const std::vector<double>& sigmas);

}  // namespace hourglass
