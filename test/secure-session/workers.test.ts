import { test, type Test } from 'tap'
import { generateKey } from '@fastkeep/secure-session'
import { EndedAmongWorkers, type Peers } from '../../packages/secure-session/src/sealed/ended-among-workers.js'
import { EndedSessions } from '../../packages/secure-session/src/sealed/ended-sessions.js'
import { currentSecond } from '../../packages/secure-session/src/lifetimes.js'
import { runNode, type Child } from '../child.ts'

interface Answer { pid: number, subject?: string | null, revocation?: string }

/** A supervisor with two workers, and a visitor that is logged in; each request comes to any of the workers. */
async function started (t: Test, env: NodeJS.ProcessEnv = {}): Promise<{ supervisor: Child, fetchAs: (cookie: string, path: string) => Promise<Answer>, login: () => Promise<string> }> {
  const supervisor = runNode(t, new URL('fixtures/supervisor.js', import.meta.url), { FASTKEEP_SESSION_KEYS: generateKey(), ...env })
  const [origin] = await supervisor.match(/http:\/\/127\.0\.0\.1:\d+/)
  await supervisor.match(/Bus STARTED/)
  const ask = async (cookie: string, path: string): Promise<Response> => await fetch(origin + path, { headers: { cookie, connection: 'close' } })
  return {
    supervisor,
    fetchAs: async (cookie, path) => await (await ask(cookie, path)).json() as Answer,
    login: async () => (await ask('', '/login')).headers.getSetCookie()[0]!.split(';')[0]!,
  }
}

test('a cookie of before the logout is refused by all workers, by those that come later from their first answer on', async t => {
  const { supervisor, fetchAs, login } = await started(t)
  const cookie = await login()
  const { pid: first, subject } = await fetchAs(cookie, '/read')
  t.equal(subject, 'ada')
  t.match((await fetchAs(cookie, '/policy')).revocation, /^the workers of this supervisor, also those that come later/)
  const waiting = new Set<number>()
  while (waiting.size < 2) waiting.add((await fetchAs(cookie, '/wait?for=/logout')).pid)
  const { pid: ending } = await fetchAs(cookie, '/logout')
  for (const pid of waiting) await supervisor.match(new RegExp(`${pid} was told of /logout: ${pid === ending ? 'destroyed' : 'ended'}`))
  const refusing = new Set<number>()
  while (refusing.size < 2) {
    const { pid, subject } = await fetchAs(cookie, '/read')
    if (subject === null) refusing.add(pid)
    else t.not(pid, ending)
  }
  t.ok(refusing.has(first))
  supervisor.kill('SIGHUP')
  const newcomers = new Set<number>()
  while (newcomers.size < 2) {
    const { pid, subject } = await fetchAs(cookie, '/read')
    if (subject !== null) t.fail(`worker ${pid} accepts it`)
    if (!waiting.has(pid)) newcomers.add(pid)
  }
  t.match(await fetchAs(await login(), '/read'), { subject: 'ada' }, 'and others are logged in as ever')
})

test('with a store, too, what has ended in one worker is told in the other ones, which do not ask for it', async t => {
  const { supervisor, fetchAs, login } = await started(t, { SESSIONS: t.testdir() })
  for (const path of ['/logout', '/everywhere']) {
    const cookie = await login()
    const waiting = new Set<number>()
    while (waiting.size < 2) waiting.add((await fetchAs(cookie, `/wait?for=${path}`)).pid)
    const { pid: ending } = await fetchAs(cookie, path)
    for (const pid of waiting) await supervisor.match(new RegExp(`${pid} was told of ${path}: ${pid === ending ? 'destroyed' : 'ended'}`))
  }
})

/** Workers among whom each message arrives later, as JSON. */
function workersWith (options: { capacity?: number } = {}): (ended?: EndedSessions) => { ended: EndedSessions, worker: EndedAmongWorkers, losses: () => number } {
  const listeners = new Set<(data: unknown) => void>()
  let room = options.capacity ?? Infinity
  return (ended = new EndedSessions(100_000)) => {
    let losses = 0
    let own = (_data: unknown): void => {}
    const peers: Peers = {
      send (_topic, data) {
        if (room-- <= 0) return false
        const text = JSON.stringify(data)
        for (const listener of listeners) if (listener !== own) setImmediate(() => listener(JSON.parse(text)))
        return true
      },
      on (_topic, listener) {
        own = listener
        listeners.add(listener)
        return () => { listeners.delete(listener) }
      },
    }
    const worker = new EndedAmongWorkers({ peers, topic: 'test', ended, onEnd: (id, end) => ended.end(id, end), onLoss: () => { losses++ } })
    return { ended, worker, losses: () => losses }
  }
}

test('a worker that starts learns a list of any length, and of what has expired nothing', async t => {
  const now = currentSecond()
  const start = workersWith()
  const first = start()
  await first.worker.learn()
  for (let index = 0; index < 1700; index++) first.ended.end(`id${index}`, { from: now, until: now + 100 })
  first.ended.end('expired', { from: now - 10, until: now - 1 })
  const newcomer = start()
  await newcomer.worker.learn()
  t.equal(newcomer.ended.size, 1700)
  t.same(['id0', 'id1699', 'expired'].map(id => newcomer.ended.isEnded(id, now)), [true, true, false])
  t.equal(newcomer.losses(), 0)
})

test('where others do not read, that is told', async t => {
  const worker = workersWith({ capacity: 0 })()
  worker.worker.tell('id', { from: 1, until: 2 })
  t.equal(worker.losses(), 1)
  await worker.worker.learn()
})
