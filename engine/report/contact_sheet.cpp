#include "engine/report/contact_sheet.h"

#include <algorithm>
#include <cmath>

#include "graph/error.h"

namespace hourglass {
namespace {

constexpr double kSheetPixelsPerUnit = 2;
constexpr double kSheetPadding = 16, kGap = 14;
constexpr Font kSheetTitle{.size = 17, .bold = true}, kPictureTitle{.size = 12.5, .bold = true}, kDetail{.size = 12};
constexpr double kCaption = 40;
constexpr double kNarrowest = 150, kWidest = 320;  // panels, in units
constexpr int kMostColumns = 4;

// How large an image is drawn, in units.
Extent drawn(const Image& image) {
  const double longer = static_cast<double>(std::max(image.width, image.height)) / kSheetPixelsPerUnit;
  double factor = 1;
  if (longer > kWidest) {
    factor = kWidest / longer;
  } else if (longer < kNarrowest) {
    factor = std::max(1.0, std::floor(kWidest / longer));
  }
  return {factor * static_cast<double>(image.width) / kSheetPixelsPerUnit,
          factor * static_cast<double>(image.height) / kSheetPixelsPerUnit};
}

// Few panels stand in one row; otherwise rows are as full as they can be.
int columns_for(int panels) {
  if (panels <= kMostColumns) return panels;
  const int rows = (panels + kMostColumns - 1) / kMostColumns;
  return (panels + rows - 1) / rows;
}

}  // namespace

Image contact_sheet(std::span<const Panel> panels, const std::string& title, const std::string& note,
                    const Theme& theme) {
  if (panels.empty()) fail("a contact sheet needs pictures");
  Extent cell{kNarrowest, 0};
  for (const Panel& panel : panels) {
    const Extent extent = drawn(panel.image);
    cell.width = std::max(cell.width, extent.width);
    cell.height = std::max(cell.height, extent.height);
  }
  const int columns = columns_for(static_cast<int>(panels.size()));
  const int rows = (static_cast<int>(panels.size()) + columns - 1) / columns;
  constexpr double kNoteRow = 18;
  const double top = kSheetPadding + (title.empty() ? 0 : kSheetTitle.size + 14) + (note.empty() ? 0 : kNoteRow);
  const Extent sheet{2 * kSheetPadding + columns * cell.width + (columns - 1) * kGap,
                     top + rows * (cell.height + kCaption) + kSheetPadding / 2};
  return draw_image(sheet, kSheetPixelsPerUnit, [&](Canvas& canvas) {
    canvas.fill({0, 0, sheet.width, sheet.height}, theme.paper);
    canvas.text({kSheetPadding, kSheetPadding + kSheetTitle.size - 2}, title, kSheetTitle, theme.ink);
    canvas.text({kSheetPadding, kSheetPadding + kSheetTitle.size + kNoteRow - 4}, note, kDetail, theme.muted);
    for (std::size_t i = 0; i < panels.size(); ++i) {
      const auto row = static_cast<double>(static_cast<int>(i) / columns);
      const auto column = static_cast<double>(static_cast<int>(i) % columns);
      const double x = kSheetPadding + column * (cell.width + kGap), y = top + row * (cell.height + kCaption);
      const Extent extent = drawn(panels[i].image);
      canvas.image(panels[i].image, {x, y + cell.height - extent.height, extent.width, extent.height});
      canvas.text({x, y + cell.height + 16}, panels[i].title, kPictureTitle, theme.ink);
      canvas.text({x, y + cell.height + 31}, panels[i].detail, kDetail, theme.muted);
    }
  });
}

Image thumbnail(const Image& image, int64_t longest) {
  const int64_t longer = std::max(image.width, image.height);
  if (longer <= longest) return gray_to_rgb(image);
  const double factor = static_cast<double>(longest) / static_cast<double>(longer);
  const Extent extent{std::max(1.0, std::round(factor * static_cast<double>(image.width))),
                      std::max(1.0, std::round(factor * static_cast<double>(image.height)))};
  return draw_image(extent, 1, [&](Canvas& canvas) { canvas.image(image, {0, 0, extent.width, extent.height}); });
}

}  // namespace hourglass
