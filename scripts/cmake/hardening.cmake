# What makes a bug in reading a stranger's file hard to exploit, in release builds: bounds of the C library's calls are
# checked where they can be known (_FORTIFY_SOURCE), arrays on the stack are guarded, indirect branches land where they
# may (-fcf-protection, x86), the program lies at a random address (PIE), and the table of functions is read-only before
# main() (full RELRO). All layers have it, the kernels too: a guard costs a call of a function some instructions, not
# an element of a loop.
include(CheckPIESupported)
check_pie_supported()

if(NOT CMAKE_CXX_FLAGS MATCHES "-fsanitize")
  # -U: some compilers define it themselves.
  add_compile_options($<$<CONFIG:Release>:-U_FORTIFY_SOURCE> $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=3>
    $<$<CONFIG:Release>:-fstack-protector-strong>)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    add_compile_options($<$<CONFIG:Release>:-fcf-protection>)
  endif()
  add_link_options($<$<CONFIG:Release>:LINKER:-z,relro> $<$<CONFIG:Release>:LINKER:-z,now>)
endif()
