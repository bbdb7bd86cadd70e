import { requestControl, type ControlProgress, type ControlRequest, type EngineStatus, type Given } from '@fastkeep/engine'
import { NotRunning } from './errors.js'
import { findService, pidOf, type ServiceAddress } from './find-service.js'
import type { Terminal } from './terminal.js'

/** ms without a word. A service says something every second while a command is under way. */
const SILENCE = 15_000

/** Sends a request to a service and shows what it comes to. */
export async function ask (socket: string, request: ControlRequest, terminal: Terminal): Promise<unknown> {
  const result = await requestControl(socket, request, {
    timeout: SILENCE,
    onProgress: progress => terminal.progress(progressLine(request.command, progress)),
  })
  terminal.progress('')
  return result
}

/** @throws `FST_KEEP_FASTKEEP_NOT_RUNNING` (69), `FST_KEEP_ENGINE_CONTROL_UNAVAILABLE` (69) */
export async function socketOf (flags: readonly Given[]): Promise<string> {
  const service = await findService(flags)
  if (service.controlSocket !== undefined) return service.controlSocket
  throw withoutSocket(service)
}

export function statusOf (socket: string): Promise<EngineStatus> {
  return requestControl(socket, 'status') as Promise<EngineStatus>
}

function withoutSocket ({ pidFile }: ServiceAddress): Error {
  const pid = pidOf(pidFile)
  return new NotRunning(pid === undefined
    ? `no instance runs with the PID file ${pidFile}`
    : `process ${pid} runs without a control socket; send it a signal, or start it without controlSocket "none"`)
}

/** `stop: 12 of 40 connections left, 8 s` */
export function progressLine (command: string, { state, connections, total, left, message }: ControlProgress): string {
  if (left !== undefined) return `${command}: ${connections} of ${Math.max(total, connections)} connections left, ${Math.ceil(left / 1000)} s`
  return `${command}: ${(message ?? state).slice(0, 70)}`
}
