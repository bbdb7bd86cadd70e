import { type Figure, type Target } from './figure.js'
import { median, paired, spread, type Spread } from './statistics.js'

const HEADINGS = ['figure', 'target', 'median', 'min - max', 'peer', 'against the peer', 'met']

/** The rows in columns, and the notes below. */
export function table (figures: readonly Figure[]): string {
  const rows = [HEADINGS, ...figures.map(row)]
  const widths = HEADINGS.map((_heading, column) => Math.max(...rows.map(cells => cells[column]?.length ?? 0)))
  const lines = rows.map(cells => cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd())
  const notes = figures.filter(({ note }) => note !== undefined).map(({ what, note }) => `${what}: ${note}`)
  return [lines[0], widths.map(width => '-'.repeat(width)).join('  '), ...lines.slice(1), ...notes.length > 0 ? ['', ...notes] : []].join('\n')
}

/** A figure without a target is met. */
export function isMet (figure: Figure): boolean {
  const { target } = figure
  if (target === undefined) return true
  return heldAgainst(figure, target).every(value => value <= (target.atMost ?? Infinity) && value >= (target.atLeast ?? -Infinity))
}

function heldAgainst ({ samples, peer }: Figure, target: Target): readonly number[] {
  const { median: value } = spread(samples)
  switch (target.of) {
    case 'median': return [value]
    case 'every': return samples
    case 'ratio': return [value / median(peer?.samples ?? [])]
    case 'difference': return [value - median(peer?.samples ?? [])]
  }
}

function row (figure: Figure): string[] {
  const { what, unit, samples, peer, target } = figure
  const ours = spread(samples)
  return [
    what,
    target === undefined ? '' : targetText(target, unit),
    `${short(ours.median)} ${unit}`,
    range(ours),
    peer === undefined ? '' : `${peer.name}: ${short(median(peer.samples))} ${unit}`,
    peer === undefined ? '' : comparison(figure, peer.samples),
    target === undefined ? '' : isMet(figure) ? 'yes' : 'NO',
  ]
}

function targetText ({ of, atMost, atLeast }: Target, unit: string): string {
  const bound = atMost === atLeast ? `= ${atMost}` : atMost === undefined ? `>= ${atLeast}` : `<= ${atMost}`
  switch (of) {
    case 'median': return `${bound} ${unit}`
    case 'every': return `${bound} in every round`
    case 'ratio': return `${bound} x the peer`
    case 'difference': return `${bound} ${unit} more`
  }
}

function comparison ({ samples, target }: Figure, peer: readonly number[]): string {
  if (target?.of === 'difference') {
    const byRound = spread(paired(samples, peer, (one, other) => one - other))
    return `${signed(median(samples) - median(peer))} (rounds ${signed(byRound.min)} - ${signed(byRound.max)})`
  }
  return `x ${(median(samples) / median(peer)).toFixed(3)} (rounds ${range(spread(paired(samples, peer, (one, other) => one / other)))})`
}

function range ({ min, max }: Spread): string {
  return `${short(min)} - ${short(max)}`
}

function signed (value: number): string {
  return value > 0 ? `+${short(value)}` : short(value)
}

function short (value: number): string {
  return Math.abs(value) >= 1000 ? Math.round(value).toLocaleString('en') : String(Number(value.toPrecision(3)))
}
