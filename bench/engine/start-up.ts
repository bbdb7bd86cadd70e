import { once } from 'node:events'
import http, { type IncomingMessage } from 'node:http'
import { type Figure, type Scale } from './figure.js'
import { Program } from './program.js'
import { interleave } from './rounds.js'

interface Start {
  /** ms from the spawn to the end of the first answer. */
  readonly toFirstAnswer: number
  /** ms of CPU until it listened: less sensitive than time to what else the machine does. */
  readonly cpu: number
}

/** What the engine adds to the start of a service. */
export async function startUp ({ isFull }: Scale): Promise<Figure[]> {
  const { ours, peer } = await interleave(isFull ? 60 : 20, {
    ours: () => start('engine-service'),
    peer: () => start('bare-service'),
  })
  const name = 'bare Fastify'
  return [
    {
      what: 'start-up, spawn to first answer',
      unit: 'ms',
      target: { of: 'difference', atMost: 15 },
      samples: ours.map(({ toFirstAnswer }) => toFirstAnswer),
      peer: { name, samples: peer.map(({ toFirstAnswer }) => toFirstAnswer) },
    },
    {
      what: 'start-up, CPU until listening',
      unit: 'ms',
      samples: ours.map(({ cpu }) => cpu),
      peer: { name, samples: peer.map(({ cpu }) => cpu) },
    },
  ]
}

async function start (program: string): Promise<Start> {
  const begin = performance.now()
  const service = Program.start(program)
  const [, port, cpu] = await service.next(/serving (\d+) as \d+ after (\S+) ms/)
  await answer(Number(port))
  const toFirstAnswer = performance.now() - begin
  await service.end()
  return { toFirstAnswer, cpu: Number(cpu) }
}

async function answer (port: number): Promise<void> {
  const [response] = await once(http.get({ host: '127.0.0.1', port, agent: false }), 'response') as [IncomingMessage]
  if (response.statusCode !== 200) throw new Error(`the first answer was ${response.statusCode}`)
  await once(response.resume(), 'end')
}
