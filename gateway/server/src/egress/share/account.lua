-- One account's limits and its breaker, as every gateway has to keep them. One call does all of it, at once.
--
-- KEYS[1]  the bucket of the vendor's window: hash n (tokens), at (as of when), frozen (until when), milliseconds
-- KEYS[2]  the breaker: open until when
-- ARGV     1 tokens wanted   2 frozen for so long from now, 0: not   3 open for so long from now, 0: not said, -1: closed
--          then, where there is a bucket: 4 tokens a millisecond   5 most at once   6 forgotten after so long
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

local frozen = tonumber(redis.call('HGET', KEYS[1], 'frozen') or '') or 0
if freeze > 0 then frozen = math.max(frozen, now + freeze) end
local frozen_for = math.max(0, frozen - now)

if #ARGV < 6 then
  if freeze > 0 then
    redis.call('HSET', KEYS[1], 'frozen', tostring(frozen))
    redis.call('PEXPIRE', KEYS[1], frozen_for)
  end
  return { (frozen_for > 0 or open_for > 0) and 0 or want, 0, frozen_for, open_for, 1000000 }
end

local rate, most, forget = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local held = redis.call('HMGET', KEYS[1], 'n', 'at')
local n, at = tonumber(held[1] or '') or 0, tonumber(held[2] or '') or now
-- A clock that was set back gives nothing.
n = math.max(0, math.min(most, n + math.max(0, now - at) * rate))
if frozen_for > 0 then n = 0 end
local wait = n < 1 and math.ceil((1 - n) / rate) or 0
local given = (frozen_for > 0 or open_for > 0) and 0 or math.min(want, math.floor(n))
n = n - given
redis.call('HSET', KEYS[1], 'n', tostring(n), 'at', tostring(now), 'frozen', tostring(frozen))
redis.call('PEXPIRE', KEYS[1], math.max(forget, frozen_for))
return { given, wait, frozen_for, open_for, math.floor(n) }
