noinst_LTLIBRARIES += core/model/libmodel.la
core_model_libmodel_la_SOURCES = core/model/labels.h core/model/number.h core/model/sample.h core/model/selfmetrics.h core/model/symtab.h 
