"""A Streamlit page: a slider, what it comes to, and a button that counts."""

import streamlit as st

st.set_page_config(page_title="Squares", page_icon="🔢")
st.title("Squares")

number = st.slider("Up to", min_value=1, max_value=20, value=5)
st.bar_chart({"square": [n * n for n in range(1, number + 1)]})

if "presses" not in st.session_state:
    st.session_state.presses = 0
if st.button("Count"):
    st.session_state.presses += 1
st.write(f"Pressed {st.session_state.presses} times")
