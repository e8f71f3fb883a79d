# Headers, both libraries, CMake package and pkg-config file; programs and the weights they find.
include(CMakePackageConfigHelpers)

install(TARGETS runmodel_static runmodel_shared EXPORT runmodelTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS run-model RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
# Found from the program as ../share/run-model.
install(DIRECTORY data/weights/ DESTINATION share/run-model)
install(FILES include/runmodel.h include/runmodel_export.h include/runmodel_networks.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/runmodel)
install(EXPORT runmodelTargets NAMESPACE runmodel:: DESTINATION ${package_dir})
configure_package_config_file(cmake/runmodelConfig.cmake.in runmodelConfig.cmake
                              INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(runmodelConfigVersion.cmake COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/runmodelConfig.cmake
              ${PROJECT_BINARY_DIR}/runmodelConfigVersion.cmake DESTINATION ${package_dir})

set(pc_threads "")
if(RML_THREADS)
  set(pc_threads "-pthread")
endif()
file(RELATIVE_PATH pc_up /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
string(REGEX REPLACE "/$" "" pc_up "${pc_up}")
configure_file(cmake/runmodel.pc.in runmodel.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/runmodel.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
