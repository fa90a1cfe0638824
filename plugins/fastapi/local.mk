# sources of the fastapi plugin
