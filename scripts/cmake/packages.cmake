# Two Debian packages by CPack: hourglass, the program, and libhourglass-dev, the static layers with their headers and
# CMake package. scripts/package builds them.
set(maintainer "The hourglass maintainers <maintainers@users.noreply.r-seed-c5c9d321.example>")
set(debian_version ${PROJECT_VERSION}-1)

# What links the installed layers, and what they are made of. scripts/setup is the one place that names packages.
execute_process(COMMAND ${PROJECT_SOURCE_DIR}/scripts/setup --list link
  OUTPUT_VARIABLE link_packages OUTPUT_STRIP_TRAILING_WHITESPACE COMMAND_ERROR_IS_FATAL ANY)
string(REPLACE "\n" ", " link_packages "${link_packages}")

# Each package says who may do what with it, and what has changed.
execute_process(COMMAND date -Ru -d ${HOURGLASS_DATE} OUTPUT_VARIABLE date OUTPUT_STRIP_TRAILING_WHITESPACE
  COMMAND_ERROR_IS_FATAL ANY)
string(SUBSTRING ${HOURGLASS_DATE} 0 4 year)
set(documents ${PROJECT_BINARY_DIR}/documents)
file(WRITE ${documents}/copyright "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: hourglass

Files: *
Copyright: ${year} The hourglass maintainers
License: Apache-2.0
 On Debian systems the whole text of the Apache License, version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
")
# Without a time, so that the same sources make the same file.
execute_process(COMMAND gzip -9nc ${PROJECT_SOURCE_DIR}/CHANGELOG.md OUTPUT_FILE ${documents}/changelog.gz
  COMMAND_ERROR_IS_FATAL ANY)
foreach(package hourglass libhourglass-dev)
  if(package STREQUAL hourglass)
    set(component program)
  else()
    set(component development)
  endif()
  file(WRITE ${documents}/${package}/changelog.Debian "hourglass (${debian_version}) unstable; urgency=medium

  * Version ${PROJECT_VERSION}: see changelog.gz.

 -- ${maintainer}  ${date}
")
  execute_process(COMMAND gzip -9nf ${documents}/${package}/changelog.Debian COMMAND_ERROR_IS_FATAL ANY)
  install(FILES ${documents}/copyright ${documents}/changelog.gz ${documents}/${package}/changelog.Debian.gz
    DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package} COMPONENT ${component})
endforeach()

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME hourglass)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "restores JPEG photographs from themselves")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
# What nobody but the owner may write, whatever the umask is.
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_COMPONENTS_ALL program development)
set(CPACK_COMPONENTS_GROUPING IGNORE)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_MAINTAINER "${maintainer}")
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_SOURCE hourglass)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_PROGRAM_PACKAGE_NAME hourglass)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SECTION graphics)
set(CPACK_DEBIAN_PROGRAM_PACKAGE_SHLIBDEPS ON)
set(CPACK_COMPONENT_PROGRAM_DESCRIPTION "Removes blocks, ringing and banding from compressed photographs, on the CPU:
by the file's quantization and the similar patches of the picture, by a small
network that learns from the picture itself, or by fitting an untrained one to
it (Deep Image Prior). It also takes out noise, fills in missing parts, and
enlarges; the networks are ONNX files, its own or yours.")

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libhourglass-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "${link_packages}")
set(CPACK_COMPONENT_DEVELOPMENT_DESCRIPTION "The layers of hourglass as static libraries, with their headers and a CMake
package: graphs and ONNX files, ops with gradients on oneDNN, plans and
training, images, and restoration.")
include(CPack)
