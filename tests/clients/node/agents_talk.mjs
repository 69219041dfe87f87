// @openai/agents in its own default configuration over WebSocket, with pipes for microphone and loudspeaker.
// Lines in and out as in ../python/lines.py.

import { createInterface } from 'node:readline';
import { RealtimeAgent, RealtimeSession, tool } from '@openai/agents/realtime';
import { z } from 'zod';

const tell = (what) => process.stdout.write(JSON.stringify(what) + '\n');

const getWeather = tool({
  name: 'get_weather',
  description: 'The current weather in a city',
  parameters: z.object({ city: z.string() }),
  execute: async ({ city }) => {
    tell({ called: { name: 'get_weather', arguments: { city } } });
    return { sky: 'cloudy' };
  },
});

const agent = new RealtimeAgent({ name: 'friend', instructions: 'You are friendly.', tools: [getWeather] });
const session = new RealtimeSession(agent, { transport: 'websocket' });

// The client emits every event twice: as '*', and by its type if its schema accepted it.
session.transport.on('*', (event) => {
  let understood = false;
  session.transport.once(event.type, () => (understood = true));
  setImmediate(() => {
    tell({ event });
    if (!understood) tell({ trouble: `not understood: ${JSON.stringify(event).slice(0, 500)}` });
  });
});
session.on('audio', ({ data }) => tell({ played: data.byteLength / 2 }));
session.on('audio_interrupted', () => tell({ flushed: true }));
session.on('error', ({ error }) => tell({ trouble: error?.message ?? JSON.stringify(error) }));

const told = new Map();
session.on('history_updated', (history) => {
  for (const item of history) {
    if (item.type !== 'message' || item.status !== 'completed') continue;
    const text = item.content.map((part) => part.transcript ?? part.text ?? '').join(' ');
    if (text && told.get(item.itemId) !== text) {
      told.set(item.itemId, text);
      tell(item.role === 'user' ? { heard: text } : { said: text });
    }
  }
});

const url = process.argv[2].replace('http', 'ws') + '/v1/realtime?model=gpt-realtime';
await session.connect({ apiKey: 'any key', url });
tell({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  const pcm = Buffer.from(line, 'base64');
  session.sendAudio(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.byteLength));
}
session.close();
