import net, { type Socket } from 'node:net'
import { ControlBroken, ControlForbidden, ControlRefused, ControlTimeout, ControlUnavailable } from './control-errors.js'
import { LONGEST_CONVERSATION, type ControlAnswer, type ControlProgress, type ControlRequest } from './control-protocol.js'

export interface RequestControlOptions {
  /** Called with every progress line; a service sends one at least every second while the command is under way. */
  onProgress?: (progress: ControlProgress) => unknown
  /** ms for which the service may be silent. Default 10,000. */
  timeout?: number
}

/** ms for a process that has said that it stopped to end. */
const END_PATIENCE = 5_000

/** A process that was replaced meanwhile sends its clients to its successor. */
const MOST_ATTEMPTS = 5

/**
 * Asks the service behind a control socket for something and resolves with its result. That of `stop` comes when the
 * process has ended, or 5 s after it said that it stopped.
 *
 * @throws `FST_KEEP_ENGINE_CONTROL_UNAVAILABLE` (exit code 69) where nobody answers, `..._FORBIDDEN` (77), `..._TIMEOUT`
 * (75), `..._BROKEN` (70); what the service refuses or fails at, with the service's own `code`, `message`, `exitCode`
 * @example const { pid, state } = await requestControl('/run/app/app.pid.sock', 'status')
 * @example await requestControl('/run/app/app.pid.sock', { command: 'scale', workers: 4 })
 */
export async function requestControl (
  path: string, command: string | ControlRequest, { onProgress = () => {}, timeout = 10_000 }: RequestControlOptions = {}
): Promise<unknown> {
  const request = typeof command === 'string' ? { command } : command
  let answer: ControlAnswer
  let attempts = 0
  do {
    answer = await converse(path, request, onProgress, timeout)
    attempts++
  } while (!answer.ok && answer.code === 'FST_KEEP_ENGINE_CONTROL_HANDED_OVER' && attempts < MOST_ATTEMPTS)
  if (!answer.ok) throw new ControlRefused(answer)
  return answer.result
}

async function converse (
  path: string, request: ControlRequest, onProgress: (progress: ControlProgress) => unknown, timeout: number
): Promise<ControlAnswer> {
  const socket = net.connect(path)
  try {
    return await new Promise<ControlAnswer>((resolve, reject) => {
      let answer: ControlAnswer | undefined
      const onLine = (line: string): void => {
        const message = parse(path, line)
        if ('progress' in message) onProgress(message.progress)
        else {
          answer = message
          socket.setTimeout(END_PATIENCE)
        }
      }
      socket.setEncoding('utf8').setTimeout(timeout)
      socket.once('connect', () => socket.write(`${JSON.stringify(request)}\n`))
      socket.once('error', error => { if (answer === undefined) reject(explain(path, error)); else resolve(answer) })
      socket.once('timeout', () => { if (answer === undefined) reject(new ControlTimeout(path, timeout)); else resolve(answer) })
      socket.once('close', () => {
        if (answer === undefined) reject(new ControlBroken(path, 'the service ended the connection without an answer'))
        else resolve(answer)
      })
      readLines(path, socket, onLine, reject)
    })
  } finally {
    socket.destroy()
  }
}

function readLines (path: string, socket: Socket, onLine: (line: string) => void, reject: (error: unknown) => void): void {
  let rest = ''
  let length = 0
  socket.on('data', (chunk: string) => {
    length += chunk.length
    if (length > LONGEST_CONVERSATION) return reject(new ControlBroken(path, 'what answers there is not a service of fastkeep: it sends too much'))
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() as string
    try {
      for (const line of lines) onLine(line)
    } catch (error) {
      reject(error)
    }
  })
}

function parse (path: string, line: string): ControlAnswer | { progress: ControlProgress } {
  try {
    const message = JSON.parse(line) as Partial<ControlAnswer & { progress: ControlProgress }> | null
    if (typeof message?.ok === 'boolean' || typeof message?.progress === 'object') return message as ControlAnswer
  } catch {
    // The same refusal.
  }
  throw new ControlBroken(path, 'what answers there is not a service of fastkeep')
}

const UNAVAILABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such directory',
  ECONNREFUSED: 'the process that made it has ended',
  ENOTSOCK: 'it is not a socket',
}

function explain (path: string, cause: NodeJS.ErrnoException): Error {
  const { code = '', message } = cause
  if (code === 'EACCES' || code === 'EPERM') return new ControlForbidden(path, { cause })
  const why = UNAVAILABLE[code]
  return why === undefined ? new ControlBroken(path, message, { cause }) : new ControlUnavailable(path, why, { cause })
}
