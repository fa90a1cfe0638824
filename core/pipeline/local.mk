noinst_LTLIBRARIES += core/pipeline/libpipeline.la
core_pipeline_libpipeline_la_SOURCES = core/pipeline/pipeline.h 
