// Keeps a million sessions in a MemoryStore and prints how many bytes each takes. Run with --expose-gc.
import { createHash } from 'node:crypto'
import { MemoryStore } from '@fastkeep/secure-session'

const COUNT = 1_000_000
const now = Math.floor(Date.now() / 1000)
const moment = { now, idleTimeout: 1800, absoluteTimeout: 43200, renewAfter: 900 }
const used = () => {
  globalThis.gc()
  const { heapUsed, external, arrayBuffers } = process.memoryUsage()
  return heapUsed + external + arrayBuffers
}

const store = new MemoryStore({ maxSessions: COUNT })
const before = used()
for (let index = 0; index < COUNT; index++) {
  const id = createHash('sha256').update(String(index)).digest('base64url')
  // Built anew, as it is where it comes from a request: one text that all share would cost nothing.
  const data = JSON.stringify({ user: `user-${index}`, role: 'editor', visits: index })
  await store.create(id, { version: 1, createdAt: now, renewedAt: now, subject: undefined, authenticatedAt: undefined, data }, moment)
}
console.log(`bytes ${Math.round((used() - before) / COUNT)} of ${store.size}`)
process.exit(0)
