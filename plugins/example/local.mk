# sources of the example plugin
