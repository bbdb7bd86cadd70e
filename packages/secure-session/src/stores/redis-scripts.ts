import { createHash } from 'node:crypto'

/*
 * A session is one hash: v version, c createdAt, r renewedAt, s subject, a authenticatedAt, m movedTo (only in the grace),
 * and its data as one field each, "d:" before the name, with the JSON text as value.
 * Each script touches one key, so that all work in a Cluster. Each is atomic. ARGV of times: whole seconds.
 */

export interface Script {
  readonly text: string
  readonly sha1: string
}

function script (text: string): Script {
  return { text, sha1: createHash('sha1').update(text).digest('hex') }
}

// By how long it lives from now, so that the clocks of Redis and of this machine need not agree.
const RENEW = `
local function renew(now, idle, absolute)
  local c = tonumber(redis.call('HGET', KEYS[1], 'c'))
  local r = math.max(now, tonumber(redis.call('HGET', KEYS[1], 'r')))
  redis.call('HSET', KEYS[1], 'r', string.format('%d', r))
  redis.call('EXPIRE', KEYS[1], string.format('%d', math.max(1, math.min(r + idle, c + absolute) - now)))
end
`

/** ARGV: now, idle timeout, absolute timeout, renew after. @returns 1 if renewed else 0, and the hash */
export const RENEW_IF_DUE = script(`${RENEW}
local times = redis.call('HMGET', KEYS[1], 'r', 'm')
local now = tonumber(ARGV[1])
local due = times[1] and not times[2] and now - tonumber(times[1]) >= tonumber(ARGV[4])
if due then renew(now, tonumber(ARGV[2]), tonumber(ARGV[3])) end
return { due and 1 or 0, redis.call('HGETALL', KEYS[1]) }
`)

/** ARGV: seconds to live, and the hash. */
export const CREATE = script(`
for i = 2, #ARGV, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1
`)

/** ARGV: now, idle timeout, absolute timeout, the version it must have or '', how many arguments set fields, these (name, value), names to remove. @returns 1 done, 0 missing, -1 another version, or where it has moved */
export const PATCH = script(`${RENEW}
local facts = redis.call('HMGET', KEYS[1], 'v', 'm')
if not facts[1] then return 0 end
if facts[2] then return facts[2] end
if ARGV[4] ~= '' and ARGV[4] ~= facts[1] then return -1 end
local last = 5 + tonumber(ARGV[5])
for i = 6, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
for i = last + 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
redis.call('HINCRBY', KEYS[1], 'v', 1)
renew(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return 1
`)

/** ARGV: the version it must have, the next id, seconds of grace. @returns as PATCH */
export const MOVE = script(`
local facts = redis.call('HMGET', KEYS[1], 'v', 'm')
if not facts[1] then return 0 end
if facts[2] then return facts[2] end
if ARGV[1] ~= facts[1] then return -1 end
if ARGV[3] == '0' then
  redis.call('DEL', KEYS[1])
else
  redis.call('HSET', KEYS[1], 'm', ARGV[2])
  redis.call('EXPIRE', KEYS[1], ARGV[3])
end
return 1
`)

/** ARGV: now, idle timeout, absolute timeout. @returns as PATCH */
export const TOUCH = script(`${RENEW}
local facts = redis.call('HMGET', KEYS[1], 'v', 'm')
if not facts[1] then return 0 end
if facts[2] then return facts[2] end
renew(tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3]))
return 1
`)

/** @returns 1 done, 0 missing, or where it had moved */
export const DESTROY = script(`
local moved = redis.call('HGET', KEYS[1], 'm')
local count = redis.call('DEL', KEYS[1])
return moved or count
`)

/** A sealed session's end. ARGV: seconds to live, from when. The earlier of two ends counts. */
export const END = script(`
local before = tonumber(redis.call('GET', KEYS[1]) or ARGV[2])
redis.call('SET', KEYS[1], string.format('%d', math.min(before, tonumber(ARGV[2]))), 'EX', ARGV[1])
return 1
`)

/** Notes a session among those of its subject, and forgets those that have expired. ARGV: when it expires at the latest, its id, now. */
export const INDEX = script(`
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', tonumber(ARGV[3]) - 1)
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('EXPIRE', KEYS[1], string.format('%d', math.max(1, tonumber(last[2] or ARGV[1]) - tonumber(ARGV[3]) + 60)))
return 1
`)
