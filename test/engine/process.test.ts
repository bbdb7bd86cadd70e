import { createServer } from 'node:http'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { test } from 'tap'
import { runNode } from '../child.js'

const service = new URL('fixtures/service.js', import.meta.url)
const SERVING = /serving (http:\/\/127\.0\.0\.1:\d+)/

test('SIGTERM and SIGINT stop a service with code 0, its listeners run in order and its port is free again', async t => {
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    const child = runNode(t, service)
    const url = (await child.match(SERVING))[1] as string
    t.equal(await (await fetch(url)).text(), 'hello')
    child.kill(signal)
    t.same(await child.ended, { code: 0, signal: null })
    t.match(child.output, /^start\nready\nserving .*\ndrain\nstop\napp closed\nexit\n$/)
    await t.rejects(fetch(url))
  }
})

test('a port that is taken ends the start with code 71 and one line that says what to do', async t => {
  const other = createServer().listen(0, '127.0.0.1')
  t.teardown(() => other.close())
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const child = runNode(t, service, { PORT: String(port) })
  t.same(await child.ended, { code: 71, signal: null })
  t.match(child.output, new RegExp(`fastkeep: cannot start: Server: cannot listen on 127\\.0\\.0\\.1:${port}: .+ listens on port ${port} already; stop it or choose another port\\n`))
  t.equal(child.output.match(/cannot start/g)?.length, 1)
})

test('the first SIGTERM lets a request finish', async t => {
  const child = runNode(t, service)
  const url = (await child.match(SERVING))[1] as string
  const answer = fetch(`${url}/slow?ms=300`)
  await child.match(/slow begun/)
  child.kill('SIGTERM')
  await child.match(/drain/)
  const response = await answer
  t.equal(await response.text(), 'slow')
  t.equal(response.headers.get('connection'), 'close')
  t.same(await child.ended, { code: 0, signal: null })
})

test('the second SIGTERM cuts what is left, names it, and the code says so', async t => {
  const child = runNode(t, service)
  const url = (await child.match(SERVING))[1] as string
  const answer = fetch(`${url}/slow?ms=60000`)
  await child.match(/slow begun/)
  child.kill('SIGTERM')
  await child.match(/drain/)
  child.kill('SIGTERM')
  await t.rejects(answer)
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, /did not stop cleanly: Server: a second signal cut 1 request: GET \/slow\?ms=60000/)
})

test('the third SIGTERM kills the process by that signal', async t => {
  const child = runNode(t, service, { HOLD: 'stop' })
  await child.match(SERVING)
  child.kill('SIGTERM')
  await child.match(/stop\n/)
  child.kill('SIGTERM')
  child.kill('SIGINT')
  t.match(await child.ended, { code: null, signal: /SIGINT|SIGTERM/ })
})

test('the deadline cuts what is left and the code says so', async t => {
  const child = runNode(t, service, { DEADLINE: '300' })
  const url = (await child.match(SERVING))[1] as string
  const answer = fetch(`${url}/slow?ms=60000`)
  await child.match(/slow begun/)
  child.kill('SIGTERM')
  await t.rejects(answer)
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, /the drain deadline of 300 ms cut 1 request: GET \/slow\?ms=60000/)
})

test('a connection that never sends a byte does not hold the stop', async t => {
  const child = runNode(t, service, { DEADLINE: '60000' })
  const url = new URL((await child.match(SERVING))[1] as string)
  const silent = net.connect(Number(url.port), url.hostname)
  t.teardown(() => silent.destroy())
  await once(silent, 'connect')
  await fetch(url)
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
})

test('SIGTERM during the start calls it off and ends with code 0', async t => {
  const child = runNode(t, service, { HOLD: 'start', HOLD_MS: '300' })
  await child.match(/start\n/)
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
  t.equal(child.output, 'start\nstop\nexit\napp closed\n')
})

test('SIGUSR1 is graceful and never opens the inspector', async t => {
  const child = runNode(t, service)
  await child.match(SERVING)
  child.kill('SIGUSR1')
  await child.match(/graceful\n/)
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
  t.notMatch(child.output, /Debugger listening/)
})

test('a process that something ends before the bus has exited says so with code 70', async t => {
  const child = runNode(t, service, { END: 'now' })
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, 'fastkeep: the process ended while the bus was STARTED: something called process.exit()')
})

test('what is wrong while the engine is made ends with the code that it asks for', async t => {
  const child = runNode(t, new URL('fixtures/wrong-option.js', import.meta.url))
  t.same(await child.ended, { code: 78, signal: null })
  t.match(child.output, /^fastkeep: cannot start: engine: unknown option "prot", did you mean "port"\?\n$/)
})

test('a process that ends by itself before the bus has exited says so with code 70', async t => {
  const child = runNode(t, new URL('fixtures/ends-by-itself.js', import.meta.url))
  t.same(await child.ended, { code: 70, signal: null })
  t.match(child.output, 'fastkeep: the process ended while the bus was STARTING: nothing kept it alive')
})

test('a bus without a server lives until it is told to exit, and main is published only for those who listen', async t => {
  const child = runNode(t, new URL('fixtures/no-server.js', import.meta.url))
  await child.match(/main 3\n/)
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
  t.notMatch(child.output, /main 4/)
})
