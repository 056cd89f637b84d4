#include "engine/cli/help_topics.h"

#include <array>

namespace hourglass::cli {
namespace {

constexpr std::string_view kStopping =
    R"(A fit starts from noise. It learns the photograph first and what spoiled it later, so it has to end in between. It
never runs longer than --iterations; --stop says what ends it before that:

  discrepancy  it is as far from the input as the original must be: from a JPEG by its quantization, from a noisy
               photograph by the noise, which is estimated unless --sigma says it
  wmv, emv     the iterates have hardly moved (least variance, in a window or weighted), and no less for
               --patience iterations; the result is that of the least
  iteration    at the iteration --stop-at
  energy       when the loss, smoothed, has come down to --stop-at
  none         at --iterations alone
  auto         the default but for 'experiment': discrepancy where the input says its error, else none

The methods filter and learn of 'restore' and 'denoise' end by themselves.

Ctrl-C, SIGTERM and SIGHUP finish the iteration, write the result so far and a checkpoint, and say how to go on; a
second one, half a second later or more, ends at once. A fit or a lesson of more than two minutes also writes a checkpoint once a
minute (--checkpoint-every). After a crash, --resume goes on from it to the same bytes.)";

constexpr std::string_view kCells =
    R"(A JPEG stores no pixels. It cuts the picture into blocks of 8x8, turns each into 64 coefficients, one for each
pattern of coarser or finer waves (DCT), divides every coefficient by a step from its table, and rounds. That is where
quality is lost, and in colour planes that are stored at half the size.

So the file states for each coefficient of the original an interval, half a step to either side of the stored number:
its cell. A decoder takes the middle of each, which makes blocks, ringing and banding. The original lies anywhere in the
cells, and so does any picture that this file could have come from.

'restore' moves its result into the cells: it removes artifacts, and contradicts nothing that the file says.

  hourglass verify photo.jpg photo.restored.png  counts what comes out as stored
  hourglass restore photo.jpg --no-cells         fits without cells, as the paper
  hourglass restore photo.jpg --energy cell      fits to cells, not to pixels

The filter and learning go by the cells, so they are for JPEGs alone; a fit takes any input. Of a JPEG that was
compressed before, by larger steps, they find the first file's cells and go by these; --once takes it as it is.)";

constexpr std::string_view kNetworks =
    R"(A fit makes the image by a network with random weights, out of fixed noise, and trains these on that image alone.
--model names the network: one that comes with the program ('hourglass model list') or an ONNX file, made by
'hourglass model make' or exported from PyTorch with open height and width, opset 9 or later.

  small          fast, and the default of a fit by 'restore'; made for JPEG artifacts
  medium         three times the work of small: a first look for 'denoise' and 'upscale'
  standard       the paper's default for noise and small images; slow
  unet           the default of 'experiment'
  inpaint        the paper's for text and scattered pixels
  inpaint-large  the paper's for large holes

'hourglass model check FILE' says node by node whether a file can be trained here, 'hourglass model info NET' what it
costs in arithmetic and memory. Weights in the file are where the fit starts (--weights draw draws new ones), --freeze
keeps some as they are, and --save-network writes what has been fitted.

What learns is another network, applied to the filtered picture: leaves (denoise: leaves-noise), a file by 'hourglass
learn' or 'model make --kind residual_unet', or any from an image to an image of the same size (from 0 to 1, R G B or
luma). A file of those that has weights learns without --method learn.)";

constexpr std::string_view kMemory =
    R"(What a run holds grows with the pixels of the image:

  restore --method filter  79 bytes for each pixel in colour, 36 in gray, and beyond 4.9 megapixels 31 and 11
  restore --method learn   166 bytes for each pixel in colour, 56 in gray, beyond 3 megapixels 118 and 40, and besides
                           100 to 210 MB
  denoise                  96 bytes for each pixel in colour, 38 in gray, and 20 MB; and as much as restore's learn
                           where that is more
  a fit                    what 'hourglass model info NET --size WIDTHxHEIGHT' says; of that, some 47 MiB, 130 bytes
                           for each pixel and 22 for each weight (with bf16 24) belong to any network

A fit is planned in one block of memory, each of --runs side by side (--at-once) in its own. It needs less with a
smaller network and with --precision bf16, which is chosen by itself where the CPU has it. Where the whole image does
not fit, restore and denoise fit it in tiles (--tile).

--memory-limit 4G refuses what would need more still, before the work begins; what 'model info' says is enough. Of several
files, no more are done at once than fit into the limit, or into what the machine has free where there is none. A number
without a unit is of bytes; K, M, G and T are powers of 1024.)";

constexpr std::string_view kThreads =
    R"(A run uses all CPUs that it may: as many threads as OMP_NUM_THREADS says, else as many CPUs as the
process may be put on (taskset) and its cgroup pays for (a container's limit). --threads says how many, --bind
keeps a fit's to cores.

Several files are done side by side, each by a process of its own. The threads are divided among them, and --jobs says
how many files at once; that is the better use of many CPUs where images are small. So it is with --runs of a fit, which
--at-once divides; without it a short timing finds what is fastest.

Threads that wait for each other spin, which is fastest on an idle machine. While a network is trained and other programs
want the CPUs, a run tries now and then whether it goes faster where they sleep, and keeps what does; of a fit, -v says
for how long they slept. The result does not depend on it. Fewer threads than CPUs (--threads) may still be faster there. OMP_WAIT_POLICY=passive in the
environment makes waiting threads always sleep, active always spin; GOMP_SPINCOUNT (10000 here)
says how long they turn before that.

  hourglass bench threads                    measures what each number of threads gives here
  hourglass bench threads --mode throughput  finds how to divide the CPUs among many photographs

The same seed, number of threads and machine give the same bytes. With another number sums are rounded elsewhere: a fit
gives another, equally good result.)";

}  // namespace

std::span<const Topic> topics() {
  static constexpr std::array kTopics{
      Topic{.name = "stopping", .title = "when a run ends, and how to end it or go on", .text = kStopping},
      Topic{.name = "cells", .title = "what a JPEG says of its original", .text = kCells},
      Topic{.name = "networks", .title = "which there are, and how to bring one's own", .text = kNetworks},
      Topic{.name = "memory", .title = "how much a run needs, and how to limit it", .text = kMemory},
      Topic{.name = "threads", .title = "how CPUs are used, and several files at once", .text = kThreads}};
  return kTopics;
}

}  // namespace hourglass::cli
