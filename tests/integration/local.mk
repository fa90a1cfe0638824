# Against real servers; each file is a program of its own.
INTEGRATION = \
	tests/integration/access.py \
	tests/integration/admin.py \
	tests/integration/annotations.py \
	tests/integration/bad_input.py \
	tests/integration/compaction.py \
	tests/integration/compat.py \
	tests/integration/crash.py \
	tests/integration/door.py \
	tests/integration/durability.py \
	tests/integration/exporters.py \
	tests/integration/faults.py \
	tests/integration/format_diff.py \
	tests/integration/full_disk.py \
	tests/integration/grafana.py \
	tests/integration/histograms.py \
	tests/integration/log_cut.py \
	tests/integration/out_of_order.py \
	tests/integration/plugins.py \
	tests/integration/power_loss.py \
	tests/integration/promql_diff.py \
	tests/integration/query_cli.py \
	tests/integration/receiver.py \
	tests/integration/remote_read.py \
	tests/integration/remote_write.py \
	tests/integration/store.py \
	tests/integration/stress.py \
	tests/integration/tsdb_cli.py
TESTS += $(INTEGRATION)
EXTRA_DIST += $(INTEGRATION) tests/integration/api_pair.py tests/integration/faultio.py \
	tests/integration/harness.py \
	tests/integration/pages.py \
	tests/integration/promql_queries.py \
	tests/integration/remote_body.py
$(INTEGRATION:.py=.log): sonde tests/tools/libfaultio.la
tests/integration/compaction.log tests/integration/full_disk.log: tests/bench/fill_bench
