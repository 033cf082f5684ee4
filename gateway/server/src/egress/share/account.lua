-- One account's limits and its breaker, as every gateway has to keep them. One call does all of it, at once.
--
-- KEYS[1]  the bucket of the vendor's window: hash n (tokens), at (as of when), frozen (until when), milliseconds
-- KEYS[2]  the breaker: open until when
-- KEYS[3]  the bucket of the vendor's day, when there is one
-- ARGV     1 tokens wanted   2 frozen for so long from now, 0: not   3 open for so long from now, 0: not said, -1: closed
--          then for each bucket: tokens a millisecond, most at once, forgotten after so long
-- Answer   tokens given, wait for the first, frozen for, open for, tokens left
--
-- Time is the server's: one clock for all gateways. A bucket that is not there is empty. What is not a number counts as 0.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000 + math.floor(tonumber(t[2]) / 1000)
local want, freeze, open = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])

local breaker = tonumber(redis.call('GET', KEYS[2]) or '') or 0
if open == -1 then
  breaker = 0
  redis.call('DEL', KEYS[2])
elseif open > 0 and now + open > breaker then
  breaker = now + open
  redis.call('SET', KEYS[2], breaker, 'PX', open)
end
local open_for = math.max(0, breaker - now)

local buckets = (#ARGV - 3) / 3
local frozen = tonumber(redis.call('HGET', KEYS[1], 'frozen') or '') or 0
if freeze > 0 then frozen = math.max(frozen, now + freeze) end
local frozen_for = math.max(0, frozen - now)

local given, wait, left = want, 0, 1000000
local filled = {}
for i = 1, buckets do
  local key = i == 1 and KEYS[1] or KEYS[3]
  local rate, most = tonumber(ARGV[1 + 3 * i]), tonumber(ARGV[2 + 3 * i])
  local held = redis.call('HMGET', key, 'n', 'at')
  local n, at = tonumber(held[1] or '') or 0, tonumber(held[2] or '') or now
  -- A clock that was set back gives nothing.
  n = math.max(0, math.min(most, n + math.max(0, now - at) * rate))
  if i == 1 and frozen_for > 0 then n = 0 end
  filled[i] = n
  given = math.min(given, math.floor(n))
  if n < 1 then wait = math.max(wait, math.ceil((1 - n) / rate)) end
end
if frozen_for > 0 or open_for > 0 then given = 0 end
for i = 1, buckets do
  local key = i == 1 and KEYS[1] or KEYS[3]
  local n = filled[i] - given
  left = math.min(left, math.floor(n))
  redis.call('HSET', key, 'n', tostring(n), 'at', tostring(now))
  redis.call('PEXPIRE', key, math.max(tonumber(ARGV[3 + 3 * i]), i == 1 and frozen_for or 0))
end
if freeze > 0 then
  redis.call('HSET', KEYS[1], 'frozen', tostring(frozen))
  if buckets == 0 then redis.call('PEXPIRE', KEYS[1], frozen_for) end
end
return { given, wait, frozen_for, open_for, left }
