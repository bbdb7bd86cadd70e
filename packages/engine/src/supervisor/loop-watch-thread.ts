// The thread of LoopWatch: an entry of its own, which a bundler must emit beside the module that starts it.
import { writeSync } from 'node:fs'
import { Session, type Debugger } from 'node:inspector'
import { parentPort, workerData, type MessagePort } from 'node:worker_threads'
import { BEAT, IS_DEBUGGED, type BlockedSample, type LoopWatchData } from './loop-watch-data.js'

const { memory, pid, blockedAfter, interval } = workerData as LoopWatchData
const beats = new BigInt64Array(memory)

/** Frames of a stack that are told. */
const MOST_FRAMES = 30
/** ms within which JavaScript that runs has stopped. */
const PROMPT = 250

let looked = process.hrtime.bigint()
/** The beat whose lateness was told. */
let told = 0n
let attempt: Session | undefined

setInterval(look, interval)

function look (): void {
  const now = process.hrtime.bigint()
  const isLateItself = msBetween(looked, now) > 2 * interval
  looked = now
  const beat = Atomics.load(beats, BEAT)
  if (attempt !== undefined && beat !== told) return giveUp(beat)
  // Stopped, suspended or starved as a whole: that is nobody's block. A debugger has the loop stand still on purpose.
  if (isLateItself || beat === told || Atomics.load(beats, IS_DEBUGGED) !== 0n) return
  if (msBetween(beat, now) >= blockedAfter + interval) name(beat)
}

/** Has the main thread stop where it is, reads the stack, and lets it go on at once. */
function name (beat: bigint): void {
  told = beat
  const session = new Session()
  attempt = session
  const asked = process.hrtime.bigint()
  const urls = new Map<string, string>()
  session.on('Debugger.scriptParsed', ({ params: { scriptId, url } }) => urls.set(scriptId, url))
  session.once('Debugger.paused', ({ params: { callFrames } }) => {
    // Read while it stands still: a moment later the loop may have turned.
    const hasTurned = Atomics.load(beats, BEAT) !== beat
    session.post('Debugger.resume')
    end(session)
    const stack = hasTurned ? [] : stackOf(callFrames, urls)
    tell(beat, stack, msBetween(asked, process.hrtime.bigint()))
  })
  session.connectToMainThread()
  session.post('Debugger.enable')
  session.post('Debugger.pause')
}

/** It ended in native code, and no JavaScript has run since. */
function giveUp (beat: bigint): void {
  if (attempt !== undefined) end(attempt)
  tell(told, [], 0)
  told = beat
}

function end (session: Session): void {
  session.post('Debugger.disable')
  session.disconnect()
  attempt = undefined
}

function tell (beat: bigint, stack: readonly string[], namedAfter: number): void {
  const sample: BlockedSample = { beat, blockedFor: Math.round(msBetween(beat, process.hrtime.bigint())), stack, namedAfter: Math.round(namedAfter) }
  const where = stack.length === 0 ? ' and does again, before it was seen why' : namedAfter > PROMPT ? ', in native code or without the processor, then in:' : ', in:'
  const lines = [`fastkeep: the event loop of process ${pid} has not turned for ${sample.blockedFor} ms${where}`, ...stack.map(frame => `    at ${frame}`)]
  try {
    // The main thread, which writes the standard streams, stands still.
    writeSync(2, `${lines.join('\n')}\n`)
  } catch {
    // Nobody reads it; the callback is told all the same.
  }
  (parentPort as MessagePort).postMessage(sample)
}

/** As far as it is the program's: a stack of Node's own frames alone says nothing of who blocked. */
function stackOf (callFrames: readonly Debugger.CallFrame[], urls: ReadonlyMap<string, string>): string[] {
  const frames = callFrames.map(({ functionName, location: { scriptId, lineNumber, columnNumber = 0 } }) => {
    const url = urls.get(scriptId) ?? ''
    return { url, text: printable(`${functionName === '' ? '<anonymous>' : functionName} (${url}:${lineNumber + 1}:${columnNumber + 1})`) }
  })
  const isOurs = ({ url }: { url: string }): boolean => !url.startsWith('node:') && !url.includes('loop-watch')
  return frames.some(isOurs) ? frames.slice(0, MOST_FRAMES).map(({ text }) => text) : []
}

function printable (text: string): string {
  return text.replace(/\p{C}+/gu, '?').slice(0, 500)
}

function msBetween (before: bigint, after: bigint): number {
  return Number(after - before) / 1e6
}
