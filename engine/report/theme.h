// The colours of drawings, on light paper and on dark.
//
// The series' colours are those of Okabe and Ito ("Color Universal Design", 2008), which people with any colour vision
// tell apart, made a little darker for text on white and lighter on black.
#pragma once

#include <array>

#include "engine/report/canvas.h"

namespace hourglass {

struct Theme {
  Color paper, ink, muted, grid;
  std::array<Color, 6> series;
};

inline constexpr Theme kLight = {
    .paper = rgb(0xFFFFFF),
    .ink = rgb(0x1F2328),
    .muted = rgb(0x5C6570),
    .grid = rgb(0xE4E7EB),
    .series = {rgb(0x0067A5), rgb(0xC35100), rgb(0x00805D), rgb(0xA8487F), rgb(0x6A737D), rgb(0x8A6D00)},
};

inline constexpr Theme kDark = {
    .paper = rgb(0x16191D),
    .ink = rgb(0xE6E9EC),
    .muted = rgb(0x9AA3AD),
    .grid = rgb(0x2C3239),
    .series = {rgb(0x56B4E9), rgb(0xF08A3C), rgb(0x2FBF93), rgb(0xDD8DBB), rgb(0x9AA3AD), rgb(0xE0C040)},
};

}  // namespace hourglass
