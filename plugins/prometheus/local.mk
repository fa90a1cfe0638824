# sources of the prometheus plugin
