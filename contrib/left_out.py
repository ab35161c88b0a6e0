"""Lists what a test run left out and why; exits 1 where that is more than tests that need a GPU."""

import collections
import sys
import xml.etree.ElementTree as ET


def main() -> int:
    report, *others = sys.argv[1:]
    reasons: collections.Counter[str] = collections.Counter(others)
    for case in ET.parse(report).getroot().iter("testcase"):
        for skipped in case.iter("skipped"):
            if skipped.get("type") != "pytest.xfail":
                reasons[skipped.get("message", "no reason given")] += 1
    if not reasons:
        print("nothing was left out")
        return 0
    print("left out:")
    for reason, times in reasons.most_common():
        print(f"  {reason}" + (f" ({times} tests)" if times > 1 else ""))
    return int(any("GPU" not in reason for reason in reasons))


if __name__ == "__main__":
    sys.exit(main())
