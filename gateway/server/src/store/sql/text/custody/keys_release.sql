UPDATE api_keys SET suspended = 0 WHERE suspended = 1
