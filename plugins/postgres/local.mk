# Sources and tests of the plugin.
