# Kinds of code: how a group of targets is optimised, and which precompiled headers its sources start from.
#
#   hourglass_code_kind(pixels OPTIONS ... LINK OpenMP::OpenMP_CXX HEADERS <fmt/format.h> graph/op.h ...)
#   hourglass_compile_as(TARGET pixels)
#
# Precompiled headers are what nearly every source reads, parsed once instead of once in each. They save time and mean
# nothing: a source still includes what it uses (the test `layers` reads that), and everything builds with
# -DCMAKE_DISABLE_PRECOMPILE_HEADERS=ON. One of ours is among them only where nearly every source of that kind reads it:
# all of them are compiled again when it changes.
#
# Flags and headers belong together: the compiler refuses headers that were compiled with other macros (OpenMP's,
# -fno-math-errno's, a program's -fPIE) or for another instruction set, and gcc 12 crashed on some that were compiled
# at another level of optimisation. So a source with such flags of its own has SKIP_PRECOMPILE_HEADERS.

# For ccache: gcc's preprocessor then leaves a mention of the headers in its output. scripts/build sets the rest.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options(-fpch-preprocess)
endif()

# PROGRAM: for sources of programs, not of libraries.
function(hourglass_code_kind kind)
  cmake_parse_arguments(arg "PROGRAM" "" "OPTIONS;LINK;HEADERS" ${ARGN})
  set(empty ${PROJECT_BINARY_DIR}/precompiled/${kind}.cpp)
  file(CONFIGURE OUTPUT ${empty} CONTENT "")
  add_library(hourglass_code_${kind} OBJECT ${empty})
  if(arg_PROGRAM)
    set_target_properties(hourglass_code_${kind} PROPERTIES POSITION_INDEPENDENT_CODE OFF)
    target_compile_options(hourglass_code_${kind} PRIVATE ${CMAKE_CXX_COMPILE_OPTIONS_PIE})
  endif()
  target_compile_options(hourglass_code_${kind} PRIVATE ${arg_OPTIONS})
  target_link_libraries(hourglass_code_${kind} PRIVATE ${arg_LINK})
  # Ours are named from the root.
  list(TRANSFORM arg_HEADERS PREPEND ${PROJECT_SOURCE_DIR}/ REGEX "^[^<]")
  target_include_directories(hourglass_code_${kind} PRIVATE ${PROJECT_SOURCE_DIR})
  target_precompile_headers(hourglass_code_${kind} PRIVATE ${arg_HEADERS})
endfunction()

function(hourglass_compile_as target kind)
  target_compile_options(${target} PRIVATE $<TARGET_PROPERTY:hourglass_code_${kind},COMPILE_OPTIONS>)
  target_precompile_headers(${target} REUSE_FROM hourglass_code_${kind})
endfunction()
