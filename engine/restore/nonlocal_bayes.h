// Nonlocal Bayes: similar patches of an image, wherever they lie, clean each other.
//
// After the second step of NL-Bayes (Lebrun, Buades, Morel, SIAM Journal on Imaging Sciences 6, 2013): for each
// reference patch, the K patches most alike form a group. Their own mean m and covariance C are taken for the
// distribution that they come from, and each patch p becomes what is then most likely behind it,
//
//   m + C (C + sigma^2 I)^-1 (p - m);
//
// all go back where they came from, averaged with weights 1 / (1 + |W|^2), where W is the K x K matrix that says how
// much of each patch is in each result. With the centred patches as the columns of X, C = X X' / K and
//
//   C (C + sigma^2 I)^-1 X = X W,    W = I - (X' X / (K sigma^2) + I)^-1,
//
// so the K x K system is all that is solved, however many samples a patch has.
//
// The network's prior is local and smooth; what it lost of fine repeated structure, other places of the same image
// still show.
#pragma once

#include <vector>

#include "engine/restore/jpeg_model.h"

namespace hourglass {

// Planes of equal size, at least 6x6, one per colour component. Patches are compared in the first plane and are one
// vector of the samples of all planes, so that colour follows structure. sigmas: of the noise in each plane, in grey
// levels, above 0. The result does not depend on the number of threads.
std::vector<Plane> nonlocal_bayes(const std::vector<Plane>& planes, const std::vector<double>& sigmas);

}  // namespace hourglass
