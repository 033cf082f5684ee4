SELECT owner, wrapped FROM wrapped_keys WHERE kind = 'tenant'
