from tests.node.conftest import *
from platformless.client.requests import Sampling
from platformless.engine.request import *
from platformless.protocol.transcript import *
import platformless.engine.engine as E
async def test_x(nodes, monkeypatch):
    seen=[]
    orig=E.Engine.generate
    def gen(self, r):
        seen.append(r); return orig(self, r)
    monkeypatch.setattr(E.Engine,"generate",gen)
    sampling = Sampling(temperature=1.0, top_k=50, top_p=0.9, min_p=0.02, repeat_penalty=1.1)
    async with nodes.node() as node, nodes.client() as client:
        async with await nodes.open(client) as session:
            for question in ("Name a city.", "Name another."):
                await (await session.ask(question, max_tokens=25, sampling=sampling)).text()
            header = session.transcript.header
            real=list(seen)
            async def run(r, conv):
                from dataclasses import replace
                async with orig(node.engine, replace(r, conversation=conv)) as again: steps=[s async for s in again]
                return tuple(s.token for s in steps if isinstance(s,GeneratedToken)), steps[-1]
            comp=[e for e in session.history if e.kind is Kind.COMPLETION]
            ctx=()
            flat=sum((e.tokens for e in session.history),())
            for r,e in zip(real,comp):
                print(r.first_position,r.max_tokens,r.seed==header.seed,r.sampler==e.sampler,len(r.prompt), r.prompt==flat[:len(r.prompt)])
            for conv in ("a","b"):
                for r,e in zip(real,comp):
                    t,f=await run(r,conv)
                    n=0
                    while n<min(len(t),len(e.tokens)) and t[n]==e.tokens[n]: n+=1
                    print(conv,"matched",n,len(e.tokens),"reused",f.reused_tokens,f.prompt_tokens)
