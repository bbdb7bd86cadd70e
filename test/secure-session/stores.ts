import expressSession from 'express-session'
import { type Test } from 'tap'
import { MemoryStore, type SessionStore } from '@fastkeep/secure-session'
import { ExpressStore } from '@fastkeep/secure-session/express'
import { LmdbStore } from '@fastkeep/secure-session/lmdb'
import { RedisStore } from '@fastkeep/secure-session/redis'
import { RedisServer, withRedis } from './redis-server.ts'

export interface StoreUnderTest {
  name: string
  skip: string | false
  make: (t: Test) => Promise<SessionStore>
}

/** Every store of the package, each with nothing in it. */
export const STORES: readonly StoreUnderTest[] = [
  { name: 'MemoryStore', skip: false, make: async t => closedWith(t, new MemoryStore()) },
  { name: 'LmdbStore', skip: false, make: async t => closedWith(t, new LmdbStore({ path: t.testdir() })) },
  {
    name: 'RedisStore',
    ...withRedis,
    make: async t => new RedisStore({ client: await (await RedisServer.start(t)).readyClient(t) }),
  },
  { name: 'ExpressStore', skip: false, make: async () => new ExpressStore(new expressSession.MemoryStore()) },
]

function closedWith (t: Test, store: SessionStore): SessionStore {
  t.teardown(() => store.close())
  return store
}
