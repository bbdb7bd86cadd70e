import net, { type Socket } from 'node:net'
import { once } from 'node:events'
import { test, type Test } from 'tap'
import { requestControl, type EngineStatus } from '@fastkeep/engine'
import { controlledService } from './controlled-service.js'

async function connected (t: Test, path: string): Promise<Socket> {
  const socket = net.connect({ path, allowHalfOpen: true }).setEncoding('utf8')
  t.teardown(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** All that the service says until it closes. */
async function said (socket: Socket): Promise<string> {
  let text = ''
  for await (const chunk of socket) text += chunk
  return text
}

async function answerTo (t: Test, path: string, text: string | Buffer): Promise<{ ok: boolean, code: string, message: string, exitCode: number }> {
  const socket = await connected(t, path)
  socket.end(text)
  return JSON.parse(await said(socket)) as { ok: boolean, code: string, message: string, exitCode: number }
}

test('garbage gets an error that says what is wrong, and disturbs nobody', async t => {
  const { child, socket } = await controlledService(t)
  const INVALID = 'FST_KEEP_ENGINE_CONTROL_REQUEST_INVALID'
  const UNKNOWN = 'FST_KEEP_ENGINE_CONTROL_COMMAND_UNKNOWN'
  const requests: Array<[string | Buffer, string, RegExp]> = [
    ['\n', INVALID, /JSON object/],
    ['GET / HTTP/1.1\r\n\r\n', INVALID, /JSON object/],
    ['null\n', INVALID, /JSON object/],
    ['[]\n', INVALID, /JSON object/],
    ['{}\n', INVALID, /"command"/],
    ['{"command":1}\n', INVALID, /"command"/],
    ['{"command":"status"}', INVALID, /one line/],
    ['{"command":"relaod"}\n', UNKNOWN, /did you mean "reload"/],
    ['{"command":"__proto__"}\n', UNKNOWN, /there are: status/],
    ['{"command":"x\\u001b[31m"}\n', UNKNOWN, /"x\?\[31m"/],
    ['{"command":"status","all":true}\n', INVALID, /takes no "all"/],
    ['{"command":"scale"}\n', INVALID, /"workers" of "scale" must be a whole number/],
    ['{"command":"scale","workers":0}\n', INVALID, /from 1 to/],
    ['{"command":"scale","workers":"4"}\n', INVALID, /must be a whole number/],
    [Buffer.alloc(100_000, 'x'), INVALID, /4096 bytes/],
    [Buffer.alloc(3000, 0xff), INVALID, /one line/],
  ]
  for (const [request, code, message] of requests) {
    const answer = await answerTo(t, socket, request)
    t.match(answer, { ok: false, code, message, exitCode: 64 }, JSON.stringify(String(request).slice(0, 40)))
  }
  t.equal((await requestControl(socket, 'status') as EngineStatus).pid, child.pid)
})

test('a client that goes in the middle of a request or of its answer disturbs nobody', async t => {
  const { child, socket, url } = await controlledService(t)
  const slow = fetch(`${url}/slow`)
  await child.match(/slow begun/)
  for (const text of ['', '{"comm', '{"command":"status"}\n', '{"command":"reload"}\n']) {
    const client = await connected(t, socket)
    client.write(text)
    client.destroy()
  }
  await child.match(/accepts|Successor|Draining/)
  t.equal(await (await slow).text(), 'slow')
  t.same(await requestControl(socket, 'stop'), {})
})

test('one client more than 16 is told so, and the first to leave makes place', async t => {
  const { socket } = await controlledService(t)
  const clients = []
  for (let count = 0; count < 16; count++) clients.push(await connected(t, socket))
  // The order of the queue is the order of the service: a further one finds all of them there.
  await t.rejects(requestControl(socket, 'status'), { code: 'FST_KEEP_ENGINE_CONTROL_BUSY', exitCode: 75 })
  const [first] = clients as [Socket]
  first.end('{"command":"status"}\n')
  await said(first)
  await t.resolves(requestControl(socket, 'status'))
})

test('clients that say nothing do not keep the service from ending', async t => {
  const { child, socket } = await controlledService(t)
  await connected(t, socket)
  const half = await connected(t, socket)
  half.write('{"command":')
  child.kill('SIGTERM')
  t.same(await child.ended, { code: 0, signal: null })
})
