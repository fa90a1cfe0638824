# sources of the redis plugin
