"""The status page's style sheet, and its hash for the content security policy."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root{color-scheme:light dark;--paper:#fbfbfa;--card:#fff;--ink:#1c1f23;--soft:#626a73;--line:#e4e6e8;--fill:#f1f2f3;
--now:#3b6ea8;--ref:#8a929b;--good:#2e7d4f;--warn:#b26a00;--bad:#b3372c;--link:#1f5c99;--wash-good:#e8f3ec;--wash-warn:#fdf2e0;
--wash-bad:#fbeae8;--wash-calm:#e9eff6}
@media (prefers-color-scheme:dark){:root{--paper:#131518;--card:#1a1d21;--ink:#e3e6e9;--soft:#98a1ab;--line:#2c3137;--fill:#24282d;
--now:#6ea3dd;--ref:#8a939d;--good:#6cc08f;--warn:#e3a548;--bad:#ec7d71;--link:#8ab8ea;--wash-good:#1a2c22;--wash-warn:#30260f;
--wash-bad:#36201d;--wash-calm:#1c2733}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",sans-serif;
font-variant-numeric:tabular-nums;overflow-wrap:break-word}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
a:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.wrap{max-width:1180px;margin:0 auto;padding:0 24px}
header.top{border-bottom:1px solid var(--line);background:var(--card)}
header.top .wrap{display:flex;align-items:center;gap:20px;min-height:56px;flex-wrap:wrap}
.brand{display:flex;align-items:center;gap:10px;font-weight:650;letter-spacing:-.01em;color:var(--ink);font-size:16px}
.brand svg{width:24px;height:24px}.brand .arc{fill:none;stroke:var(--line);stroke-width:3;stroke-linecap:round}
.brand .swing{fill:none;stroke:var(--now);stroke-width:3;stroke-linecap:round}
.brand .needle{stroke:var(--ink);stroke-width:2;stroke-linecap:round}
header.top nav{display:flex;gap:18px;margin-left:auto;font-size:14px}
.skip{position:absolute;left:-999px}.skip:focus{left:24px;top:8px}
h1{font-size:22px;line-height:1.25;font-weight:650;letter-spacing:-.015em;margin:0}
h2{font-size:16px;font-weight:650;letter-spacing:-.005em;margin:36px 0 12px}
h2 small,h1 small{font-weight:400;color:var(--soft);font-size:14px;letter-spacing:0;margin-left:8px}
h3{font-size:14px;font-weight:600;margin:22px 0 10px}h3 small{font-weight:400;color:var(--soft);margin-left:8px}
div+.scroll,.stack>*+.scroll{margin-top:12px}
p{margin:0 0 12px}.soft{color:var(--soft)}.small{font-size:13px}
.state{display:flex;gap:14px;align-items:baseline;margin:28px 0 20px;flex-wrap:wrap}
.badge{display:inline-block;padding:1px 9px;border-radius:10px;font-size:13px;font-weight:550;white-space:nowrap;
background:var(--fill);color:var(--soft)}
.badge+.badge{margin-left:4px}.badges{display:flex;flex-wrap:wrap;gap:4px}.badges .badge+.badge{margin-left:0}
.badge.good{background:var(--wash-good);color:var(--good)}.badge.warn{background:var(--wash-warn);color:var(--warn)}
.badge.bad{background:var(--wash-bad);color:var(--bad)}.badge.calm{background:var(--wash-calm);color:var(--link)}
.notice{border-left:3px solid var(--warn);background:var(--wash-warn);padding:10px 14px;margin:0 0 12px;border-radius:0 6px 6px 0}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(200px,1fr));gap:12px;margin:16px 0 8px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:14px 16px}
.tile dt{color:var(--soft);font-size:13px}
.tile dd{margin:2px 0 0;font-size:22px;line-height:1.3;font-weight:600;letter-spacing:-.015em}
.tile dd.sub{font-size:13px;font-weight:400;color:var(--soft);letter-spacing:0}dl{margin:0}
.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:16px}
.scroll{overflow-x:auto;background:var(--card);border:1px solid var(--line);border-radius:8px}
table{border-collapse:collapse;width:100%;font-size:14px}
caption{text-align:left;padding:10px 14px 2px;color:var(--soft);font-size:13px}
th{font-weight:500;color:var(--soft);font-size:13px;text-align:left;padding:8px 14px;border-bottom:1px solid var(--line);
white-space:nowrap}
td{padding:7px 14px;border-bottom:1px solid var(--line);vertical-align:middle}
tbody:last-child tr:last-child td{border-bottom:0}
.num{text-align:right;white-space:nowrap}
th[scope=row]{font-size:14px;font-weight:600;color:var(--ink);vertical-align:top;padding-top:12px;white-space:normal;
min-width:150px;max-width:240px}.light{font-weight:400}
.key,td>a{display:block;max-width:340px;overflow:clip;overflow-clip-margin:4px}.key{min-width:130px}.nowrap{white-space:nowrap}
.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:13px}
.hist{display:block;max-width:100%;overflow:visible}.hist.large{width:100%;height:auto;overflow:hidden}
.hist.chart{width:100%;max-width:480px;height:auto;margin:0 auto 6px}.chart text{font-size:10px}
.dot-value{fill:var(--ink)}
.hist.reliability{width:100%;max-width:300px;height:auto;margin:0 auto 6px}
.reliability text{font-size:9px}.reliability .frame{fill:none;stroke:var(--line)}.reliability .ideal{stroke:var(--ref);stroke-dasharray:3 3}
.reliability .whisker{stroke:var(--now);stroke-width:2}.reliability .bad{stroke:var(--bad)}
.hist text{font-size:12px;fill:var(--soft)}
.below{margin-top:14px}@media (min-width:900px){.two.below{grid-template-columns:3fr 2fr}}
.hist .now{fill:var(--now);opacity:.75}.hist .bad{fill:var(--bad);opacity:.85}
.hist .cut{stroke:var(--card);stroke-width:2}
.hist .hit{fill:transparent}.hist g:hover .hit{fill:var(--fill)}.hist .ref{fill:none;stroke:var(--ink);stroke-width:1.25;opacity:.75}
.meter{vertical-align:-2px;margin-right:8px}.meter .track{fill:var(--fill)}.meter .over{fill:var(--bad)}.meter .under{fill:var(--ref)}
.meter .tick{stroke:var(--ink);stroke-width:1.5}
.parts{display:block;width:100%;height:10px;border-radius:5px;margin:4px 0 12px;background:var(--fill)}
.p-good,.k-counted,.k-stable{fill:var(--good)}.k-duplicate,.k-insufficient_data{fill:var(--ref)}.k-late,.k-partial{fill:var(--warn)}
.k-rejected,.k-drifted{fill:var(--bad)}.k-tombstones,.k-no_reference,.k-not_applicable{fill:var(--line)}
.dot{display:inline-block;width:9px;height:9px;margin-right:7px}.dot rect{width:9px;height:9px;rx:2px}
.legend{display:flex;flex-wrap:wrap;gap:6px 20px;font-size:13px;color:var(--soft);list-style:none;padding:0;margin:0 0 4px}
.legend b{color:var(--ink);font-weight:600}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,460px),1fr));gap:20px;align-items:start}
.two h2{margin-top:24px}.two>.scroll{margin-top:0}
.more{padding:9px 14px;font-size:13px;color:var(--soft);margin:0}
.empty{padding:26px 18px;text-align:center;color:var(--soft)}
.empty b{display:block;color:var(--ink);font-weight:600;font-size:16px;margin-bottom:2px}
.crumbs{font-size:14px;margin:22px 0 6px}
footer{color:var(--soft);font-size:13px;margin:40px 0 48px;border-top:1px solid var(--line);padding-top:14px}
@media (max-width:640px){.wrap{padding:0 14px}td,th{padding-left:10px;padding-right:10px}h1{font-size:19px}
header.top nav{margin-left:0}}
""".strip()
"""Light or dark as the reader's system says; nothing is loaded from elsewhere."""

STYLE_HASH = f"'sha256-{base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()}'"
"""Source expression of the only style sheet that the page may use."""
