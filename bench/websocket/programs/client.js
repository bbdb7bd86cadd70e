// Clients of one server. Arguments: what to do, the port, and what that takes. Prints `ready`, and figures as they come.
import { createInterface } from 'node:readline'
import { frame, open, openMany } from './handshake.js'

const [task, port, ...args] = process.argv.slice(2)
const lines = createInterface({ input: process.stdin })
lines.on('close', () => process.exit())

/** Bytes of a frame with 256 bytes of text. */
const FRAME = 260

/** First byte of a ping, and its bytes in all. */
const PING = 0x89
const PING_FRAME = 2

const TASKS = {
  // Acknowledges 8 bursts at once, by the bytes that have come. Arguments: clients, messages in a burst.
  async topic (clients, burst) {
    const ack = frame(1, 'a')
    let [got, due] = [0, 0]
    let first // eslint-disable-line prefer-const -- the callback comes after it is set
    const [one] = await openMany(Number(clients), port, '/topic', chunk => {
      got += chunk.length
      while (got >= due) {
        due += 8 * clients * burst * FRAME
        first.write(ack)
      }
    })
    first = one
    due = 8 * clients * burst * FRAME
  },
  // Arguments: clients, ms. Each sends the next message when it has its answer.
  async echo (clients, ms) {
    const message = frame(1, 'x'.repeat(256))
    let count = 0
    let isOver = false
    const pending = new Map()
    const sockets = await openMany(Number(clients), port, '/echo', (chunk, socket) => {
      const rest = pending.get(socket) - chunk.length
      pending.set(socket, rest > 0 ? rest : FRAME)
      if (rest > 0 || isOver) return
      count++
      socket.write(message)
    })
    lines.on('line', () => {
      const started = performance.now()
      isOver = false
      count = 0
      for (const socket of sockets) {
        pending.set(socket, FRAME)
        socket.write(message)
      }
      setTimeout(() => {
        isOver = true
        console.log(`echoed ${count * 1000 / (performance.now() - started)}`)
      }, Number(ms))
    })
  },
  // Arguments: handshakes, how many at once. Each is cut when it is done.
  async upgrades (count, parallel) {
    lines.on('line', async () => {
      const started = performance.now()
      let begun = 0
      await Promise.all(Array.from({ length: Number(parallel) }, async () => {
        while (begun++ < count) (await open(port, '/idle')).resetAndDestroy()
      }))
      console.log(`upgraded ${count * 1000 / (performance.now() - started)}`)
    })
  },
  // Answers pings, and counts who is lost. Argument: clients.
  async idle (clients) {
    const pong = frame(10)
    let [pings, lost] = [0, 0]
    const sockets = await openMany(Number(clients), port, '/idle', (chunk, socket) => {
      if (chunk[0] !== PING) return
      pings++
      socket.write(pong)
    })
    for (const socket of sockets) socket.on('close', () => lost++)
    lines.on('line', () => console.log(`held open=${sockets.filter(socket => !socket.destroyed).length} lost=${lost} pings=${pings}`))
  },
  // How old messages are when they come, by the time in them. Argument: clients.
  async latency (clients) {
    let ages = []
    /** Where the next frame begins, by bytes after the last chunk: chunks are cut anywhere. */
    const offsets = new Map()
    await openMany(Number(clients), port, '/topic', (chunk, socket) => {
      let at = offsets.get(socket) ?? 0
      for (; at < chunk.length; at += chunk[at] === PING ? PING_FRAME : FRAME) {
        if (chunk[at] === PING) continue
        const time = chunk.toString('latin1', at + 4, at + 24)
        // One that is cut in two is not looked at.
        if (time.length === 20) ages.push(Number(process.hrtime.bigint() - BigInt(time.trim())) / 1000)
      }
      offsets.set(socket, at - chunk.length)
    })
    lines.on('line', () => {
      const sorted = Float64Array.from(ages).sort()
      console.log(`latency messages=${sorted.length} p50=${sorted[sorted.length >> 1]} p99=${sorted[Math.floor(sorted.length * 0.99)]}`)
      ages = []
    })
  },
  // Subscribes and never reads.
  async deaf () {
    (await open(port, '/flood')).pause()
  },
}

await TASKS[task](...args)
console.log('ready')
