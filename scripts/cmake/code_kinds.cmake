# Kinds of code: how a group of targets is optimised, and which precompiled headers its sources start from.
#
#   hourglass_code_kind(pixels OPTIONS ... LINK OpenMP::OpenMP_CXX HEADERS <fmt/core.h> graph/op.h ...)
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

# What an inline function of a header uses of templates is instantiated in every source, even where headers are
# precompiled. So in our own headers, what puts something into a map, or copies and destroys a struct of many members, is
# only declared: its source holds it.

# Sources of some kinds are compiled together, eight at a time, where HOURGLASS_TOGETHER is on, as the presets `release`
# and `ci` have it: a build takes two thirds of the time. That means nothing either: a source includes what it uses (the
# other presets compile each alone), and names what is its own so that it stands beside the others' of its folder. A
# source with row loops for several instruction sets stays alone: what it calls of others would be compiled for these too.
option(HOURGLASS_TOGETHER "Compile several sources at a time" OFF)

# For ccache, gcc's preprocessor leaves a mention of the headers in its output; scripts/build sets the rest. And gcc looks
# for garbage among its trees whenever these have doubled from 128 MB on, a tenth of the time of sources that are compiled
# together. From 400 MB on, a job takes 0.1 GB more memory, 0.6 GB at most.
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  add_compile_options(-fpch-preprocess --param=ggc-min-heapsize=400000)
endif()

# PROGRAM: for sources of programs, not of libraries. TOGETHER: see above.
function(hourglass_code_kind kind)
  cmake_parse_arguments(arg "PROGRAM;TOGETHER" "" "OPTIONS;LINK;HEADERS" ${ARGN})
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
  set_property(TARGET hourglass_code_${kind} PROPERTY HOURGLASS_TOGETHER ${arg_TOGETHER})
endfunction()

function(hourglass_compile_as target kind)
  target_compile_options(${target} PRIVATE $<TARGET_PROPERTY:hourglass_code_${kind},COMPILE_OPTIONS>)
  target_precompile_headers(${target} REUSE_FROM hourglass_code_${kind})
  get_property(together TARGET hourglass_code_${kind} PROPERTY HOURGLASS_TOGETHER)
  if(HOURGLASS_TOGETHER AND together)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
    get_target_property(sources ${target} SOURCES)
    foreach(source IN LISTS sources)
      get_filename_component(path ${source} ABSOLUTE)
      if(EXISTS ${path})
        file(STRINGS ${path} clones REGEX "^ *HG_CLONES|#include .*-inl.h")
        if(clones)
          set_source_files_properties(${source} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
        endif()
      endif()
    endforeach()
  endif()
endfunction()
